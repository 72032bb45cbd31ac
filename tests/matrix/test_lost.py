"""Sources lost, one and two at a time, at every stage; and all of them hanging at once."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from loomtriage.drills.book import DRILLS
from loomtriage.errors import Exit
from loomtriage.evidence import examples
from loomtriage.model import State
from loomtriage.model.verdict import EXIT_OF_STATE
from loomtriage.runner.path import read_section
from loomtriage.runner.verdict import build_verdict
from loomtriage.sources import Live, Logs, Outbox, Prometheus, Recording, Sources, Traces
from loomtriage.stages import PATH, STAGES
from tests.matrix.databases import Endpoint
from tests.matrix.healthy import case_of
from tests.matrix.tables import LOST, PAGES, SIGNALS, lost_row, shown
from tests.sources.wire import Wire, hangs
from tests.stages.whole import verdict_of

EXPECTED = {"es_down": "es_down", "placebo": "none"}
STAGE_OF = {"metrics": "narrow.metrics", "traces": "locate.traces", "logs": "explain.lines"}
"""The check by which the stage that lives on a signal says that it is gone."""

each = pytest.mark.parametrize("name", sorted(EXPECTED))
losing = pytest.mark.parametrize("gone", LOST, ids="+".join)


def _verdict(name, gone=()):
    return verdict_of(f"example:{name}", gone)


@each
@losing
def test_a_lost_source_leaves_a_right_or_an_honest_verdict(name, gone):
    """The cause stays right or is `unknown` with a reason; less sure, never OK, no check breaks."""
    whole, verdict = _verdict(name), _verdict(name, gone)
    assert verdict["cause"] in (EXPECTED[name], "unknown")
    assert verdict["cause"] != "none" or "metrics" not in gone
    assert verdict["state"] not in ("OK", "ERROR")
    assert verdict["confidence"] <= whole["confidence"]
    if verdict["cause"] == "unknown":
        assert verdict["abstained"]
        assert verdict["why"]
        assert verdict["confidence"] == 0.0


@each
@losing
def test_each_stage_says_by_name_what_it_lacks(name, gone):
    """Preflight names every lost source; the stage that lives on it says so, and is not OK."""
    states = {f["check"]: f["state"] for f in _verdict(name, gone)["findings"]}
    named = {m["check"] for m in _verdict(name, gone)["missing"]}
    for signal in gone:
        assert f"preflight.{signal}" in named
        if signal in STAGE_OF:
            assert states[STAGE_OF[signal]] == "NO_DATA"
    for signal in set(SIGNALS) - set(gone):
        assert states[f"preflight.{signal}"] == "OK"


@each
def test_nothing_is_lost_where_nothing_is_taken_away(name):
    """Control: the whole recording gives the whole verdict."""
    verdict = _verdict(name)
    assert verdict["cause"] == EXPECTED[name]
    assert verdict["state"] == ("OK" if EXPECTED[name] == "none" else "BAD")


def test_nothing_at_all_is_no_data():
    """No signal, no verdict: `unknown`, abstained, NO_DATA."""
    verdict = _verdict("es_down", SIGNALS)
    assert (verdict["cause"], verdict["state"]) == ("unknown", "NO_DATA")
    assert verdict["abstained"]
    assert verdict["confidence"] == 0.0


def test_the_table_of_lost_signals_is_what_the_examples_say():
    """`docs/reference/degradation.md` is what the program answers; `.ci/degradation` writes it."""
    page = (PAGES / "degradation.md").read_text(encoding="utf-8")
    for name in sorted(EXPECTED):
        assert shown(lost_row(name, verdict_of=_verdict)) in page


def test_the_table_of_lost_signals_holds_every_example_and_no_wrong_answer():
    """Each example with each loss: the cause of its whole recording, or less; never OK.

    Of two faults the other one may be all that is left.
    """
    page = (PAGES / "degradation.md").read_text(encoding="utf-8")
    rows = [[c.strip("|` ") for c in x.split(" | ")] for x in page.splitlines() if x[:3] == "| `"]
    assert {row[0] for row in rows} == set(examples())
    for row in rows:
        whole, *less = (cell.split() for cell in row[1:])
        faults = DRILLS.get(row[0], noun="drill").faults
        assert len(less) == len(LOST)
        assert {cause for cause, _, _ in less} <= {whole[0], "unknown", *faults}
        assert all(state != "OK" for _, state, _ in less)
        assert all(float(sure) <= float(whole[2]) for cause, _, sure in less if cause == whole[0])


STAGE_S, PATH_S = 15.0, 30.0
"""What the budgets of all sources come to; on a busy machine it may be a third more."""
SLACK = 4 / 3


def _hanging(metrics, traces, rows, *, logs, tape):
    """Four sources that take a connection, or a pipe, and never say a word."""
    port = rows.url.removeprefix("http://")
    return Sources(
        spec="live",
        metrics=Prometheus(metrics.url, tape=tape),
        traces=Traces(traces.url, tape=tape),
        logs=Logs(logs, tape=tape),
        rows=Outbox(f"postgres://w:hunter2@{port}/d", tape=tape),
    )


@pytest.mark.timeout(90)
def test_the_path_ends_although_everything_hangs(tmp_path):
    """A stage within 15 s, the path within 30 s, by the budgets that users get; exit code 3."""
    os.mkfifo(tmp_path / "worker.log")
    took_s = []
    with Wire(hangs) as metrics, Wire(hangs) as traces, Endpoint(hangs) as rows:
        sections = []
        for stage in PATH:
            # As the path does it: each stage opens the tape anew.
            tape = Recording(tmp_path / "tape")
            sources = _hanging(metrics, traces, rows, logs=tmp_path / "worker.log", tape=tape)
            case = replace(case_of(sources), stage=stage, folder=tmp_path)
            begun = time.monotonic()
            STAGES.get(stage, noun="stage")(case)
            took_s.append(time.monotonic() - begun)
            sections.append(read_section(tmp_path, stage, None, seconds=0.0))
    assert max(took_s) < STAGE_S * SLACK, took_s
    assert sum(took_s) < PATH_S * SLACK, took_s
    verdict = build_verdict(case, tmp_path, tuple(sections))
    assert (verdict["state"], verdict["cause"]) == ("NO_DATA", "unknown")
    assert EXIT_OF_STATE[State(verdict["state"])] is Exit.NO_DATA
    assert {m["signal"] for m in verdict["missing"]} >= set(SIGNALS)


@pytest.mark.timeout(90)
def test_a_stage_by_hand_ends_although_everything_hangs(tmp_path):
    """Without a run folder nothing is remembered between stages, and 15 s hold all the same."""
    os.mkfifo(tmp_path / "worker.log")
    with ThreadPoolExecutor(len(PATH)) as pool:  # they all wait, so they wait together
        ended = dict(
            zip(PATH, pool.map(partial(_by_hand, tmp_path / "worker.log"), PATH), strict=True)
        )
    assert {stage: state for stage, (state, _) in ended.items()} == dict.fromkeys(
        PATH, State.NO_DATA
    )
    assert all(seconds < STAGE_S * SLACK for _, seconds in ended.values()), ended


def _by_hand(logs, stage):
    """State of a stage whose sources all hang, and after how many seconds."""
    with Wire(hangs) as metrics, Wire(hangs) as traces, Endpoint(hangs) as rows:
        sources = _hanging(metrics, traces, rows, logs=logs, tape=Live())
        case = replace(case_of(sources), stage=stage, pictures=False)
        begun = time.monotonic()
        result = STAGES.get(stage, noun="stage")(case)
        took_s = time.monotonic() - begun
    return result.verdict.state, took_s
