"""What must not pass for health: nothing inside the scope, a stale end, somebody else's answer."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from loomtriage.analysis.apart import Apart
from loomtriage.analysis.causes import decide
from loomtriage.analysis.causes.facts import Seen, gather
from loomtriage.analysis.causes.silence import Silences
from loomtriage.analysis.counters.increases import measure
from loomtriage.case import open_case
from loomtriage.contract.keys import CHRONICLE, SEARCH
from loomtriage.model import Scope, State
from loomtriage.stages.conclude import conclude
from loomtriage.stages.explain import explain
from loomtriage.stages.explaining import lines_in_scope
from loomtriage.stages.locate import locate
from loomtriage.stages.locating import in_scope
from loomtriage.stages.narrowing import _watched, measure_case
from tests.analysis.causes.test_causes import QUIET
from tests.make import BASELINE, WINDOW, column, line, lines, metrics, ramp, span, spans
from tests.stages.whole import EXAMPLES, triage, verdict_of


def test_no_trace_inside_the_scope_is_no_data():
    """Spans of another projection say nothing about this one."""
    case = open_case("locate", source="example:placebo")
    result = locate(replace(case, scope=Scope(env="nowhere")))
    assert result.verdict.state is State.NO_DATA


def test_a_batch_of_several_ops_is_inside_the_scope_of_one_of_them():
    """A trace is dropped only when none of its rows is meant."""
    case = replace(open_case("locate", source="example:placebo"), scope=Scope(op="upsert"))
    batch = {"operation": "projection.process_batch", "own": "1"}
    table = spans(
        span("mixed", **batch, attributes={"op": "mixed"}),
        span("mixed", "2", "outbox.process", attributes={"op": "delete"}),
        span("mixed", "3", "outbox.process", attributes={"op": "upsert"}),
        span("other", **batch, attributes={"op": "delete"}),
    )
    assert set(in_scope(table, case)["trace_id"]) == {"mixed"}


def test_a_line_of_another_env_proves_nothing():
    """A line that names no env may belong to any."""
    case = replace(open_case("explain", source="example:placebo"), scope=Scope(env="dev"))
    fields = ({"env": "dev"}, {"env": "test"}, {})
    kept = lines_in_scope(lines(*(line("x", fields=f) for f in fields)), case)
    assert list(kept["fields"]) == [fields[0], fields[2]]


def test_the_path_on_a_recorded_run_begins_anew():
    """What the recorded run concluded is neither inherited nor in the way of another question."""
    assert open_case("path", source="example:es_down").scope == Scope()
    narrowed = open_case("path", source="example:es_down", projection="search")
    assert narrowed.scope == Scope(projection=SEARCH)
    assert open_case("locate", source="example:es_down").scope.env == "sandbox"


@pytest.mark.parametrize(
    "doubt",
    ["stale", "partial", "step", "unwatched", "constant", "traces", "logs", "clock", "rule", ""],
)
def test_quiet_metrics_alone_are_not_health(doubt):
    """`none` needs metrics up to the window's end, and traces and logs that say nothing else."""
    case = open_case("explain", source="example:placebo")
    found, facts = measure_case(case), QUIET
    if doubt in ("traces", "logs"):
        facts = replace(facts, **{{"traces": "traces", "logs": "lines"}[doubt]: None})
    if doubt == "clock":
        facts = replace(facts, apart=(Apart(whose="a worker", ahead_s=90.0, n=9),))
    if doubt == "stale":
        found = replace(found, frame=found.frame.with_caveat("stale: the newest sample is old."))
    if doubt == "partial":
        found = replace(found, frame=found.frame.with_caveat("partial: 1 of 2 workers answered."))
    if doubt == "unwatched":
        found = replace(found, watched=False)
    if doubt == "constant":
        found = replace(found, folded=_failing_all_along())
    if doubt == "step":
        case = replace(case, handover={"step": {"operation": "PUT"}})
    broken = ("explain.rule.es_down",) if doubt == "rule" else ()
    answer = conclude(case, found, facts, (), broken=broken)
    assert answer["cause"] == ("unknown" if doubt else "none")
    assert bool(answer["why"]) is bool(doubt)
    assert answer["confidence"] == (0.0 if doubt else 0.9)


def test_a_clock_that_is_a_little_off_leaves_the_answer():
    """Two seconds are said by preflight; they move no line out of its window."""
    case = open_case("explain", source="example:placebo")
    facts = replace(QUIET, apart=(Apart(whose="a worker", ahead_s=3.0, n=9),))
    assert conclude(case, measure_case(case), facts, ())["cause"] == "none"


def test_a_worker_with_a_wrong_clock_is_named_as_the_reason():
    """Its lines and spans go on elsewhere: nothing fell silent, and nothing was sampled out."""
    verdict = verdict_of("example:clock_skew")
    assert "its lines and spans lie 90.0 s ahead" in verdict["headline"]
    assert verdict["doubts"] == ["clocks"]
    assert verdict["scope"]["projection"] == SEARCH
    told = json.dumps([verdict[key] for key in ("headline", "why", "findings", "missing")])
    assert not re.search("ends early|sampled out|OTEL_TRACES_SAMPLER|tracing is on", told)


@pytest.mark.parametrize(
    ("name", "doubt"), [("log_full", "silent_log"), ("slow_es", "slower_step")]
)
def test_what_was_observed_beside_an_unknown_cause_is_named_with_its_place(name, doubt):
    """By a stable id, and by the projection whose worker it is."""
    verdict = verdict_of(f"example:{name}")
    assert (verdict["cause"], verdict["doubts"]) == ("unknown", [doubt])
    assert verdict["scope"]["projection"] == SEARCH


def test_who_sees_nothing_doubts_nothing():
    """Without a signal there is an abstention, and no observation in it."""
    verdict = verdict_of("example:log_full", ("metrics", "traces", "logs"))
    assert (verdict["cause"], verdict["doubts"]) == ("unknown", [])


def test_a_file_of_another_worker_still_ends_early_beside_a_wrong_clock():
    """A clock excuses its own worker's silence only."""
    wrong = Apart(whose="a worker", ahead_s=90.0, n=9, projections=(SEARCH,))
    still = Silences(files={"worker.log": (SEARCH,), "chronicle.log": (CHRONICLE,)})
    facts = gather(None, Seen(apart=(wrong,)), exposure=1.0, still=still)
    assert facts.mute == ("chronicle.log",)
    assert gather(None, Seen(), exposure=1.0, still=still).mute == tuple(still.files)


def test_a_rule_that_breaks_is_one_error_and_no_pass(monkeypatch):
    """The other rules are asked all the same; quiet or not, a broken rule is no health."""

    def es_down(_):
        raise ZeroDivisionError("no")

    monkeypatch.setattr(decide, "RULES", (es_down, *decide.RULES[1:]))
    for name, cause in (("es_429", "es_429"), ("placebo", "unknown")):
        result = explain(open_case("explain", source=f"example:{name}"))
        states = {f.check: f.state for f in result.verdict.findings}
        assert states["explain.rule.es_down"] is State.ERROR
        assert State.ERROR not in {s for c, s in states.items() if c != "explain.rule.es_down"}
        assert result.conclusion["cause"] == cause


def test_a_run_made_from_a_recording_can_be_opened_again(tmp_path):
    """Its tape holds every answer that it used."""
    triage("example:es_down", tmp_path)
    kept, recorded = (_keys(f / "tape" / "index.jsonl") for f in (tmp_path, EXAMPLES / "es_down"))
    assert kept
    assert kept == recorded


def test_a_worker_that_falls_silent_is_not_watched():
    """Its last value stands still, which looks like peace."""
    case = open_case("explain", source="example:placebo")
    assert measure_case(case).watched
    half = case.window.start + (case.window.end - case.window.start) / 2
    assert not _watched(case.pull("processed").data.loc[:half], case)


def _failing_all_along():
    retry = column("retry_scheduled", op="upsert", reason="es_unreachable")
    return measure(metrics({retry: ramp(40, 40)}), window=WINDOW, baseline=BASELINE)


def _keys(index: Path) -> set[str]:
    return {json.loads(line)["key"] for line in index.read_text(encoding="utf-8").splitlines()}
