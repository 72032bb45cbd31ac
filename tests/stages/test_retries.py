"""Retries: the recorded drills show backoffs that work, and what is missing is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loomtriage.case import Case, open_case
from loomtriage.model import State
from loomtriage.stages import retries as stage
from loomtriage.stages.retries import TABLES, retries
from tests.stages.whole import blind


def _states(result):
    return {finding.check: finding.state for finding in result.verdict.findings}


@pytest.mark.parametrize("name", ["es_down", "es_429", "stuck_reclaim", "placebo"])
def test_a_backoff_that_works_has_no_silent_loop(name):
    """Outage, storm, stuck rows, nothing at all: no row goes round for ever."""
    states = _states(retries(open_case("retries", source=f"example:{name}")))
    assert states["retries.loops"] is State.OK
    assert not [check for check in states if check.startswith("retries.loop.")]


def test_attempts_are_shown_against_the_plan():
    """Each attempt with its planned wait, the formula, and the real gap until the next try."""
    result = retries(open_case("retries", source="example:es_down"))
    assert _states(result)["retries.backoff"] is State.OK
    first, second, *_ = result.table("waits").rows
    assert (first[0], second[0]) == ("1", "2")
    assert first[3].startswith("1.0")
    assert second[3].startswith("2.0")
    waiting = result.table("waiting").rows
    assert waiting
    assert {row[4] for row in waiting} == {"never by itself"}


def test_residue_is_no_backlog():
    """Rows that failed for good are told apart from those that will still be done."""
    states = _states(retries(open_case("retries", source="example:es_poison_4xx")))
    residue = [check for check, state in states.items() if state is State.WARN]
    assert residue == ["retries.residue.search_index_to_elastic"]


def test_without_rows_and_lines_nobody_knows():
    """No row and no line: that is no sign of peace."""
    case = blind(open_case("retries", source="example:es_down"), ("rows", "logs"))
    result = retries(case)
    assert result.verdict.state is State.NO_DATA
    assert _states(result)["retries.residue"] is State.NO_DATA


def test_spans_stand_in_for_lines():
    """Where no line names a row, the row spans tell the attempts; planned waits stay unknown."""
    case = blind(open_case("retries", source="example:es_down"), ("logs",))
    result = retries(case)
    assert result.table("waits").rows
    assert _states(result)["retries.backoff"] is State.NO_DATA


@pytest.mark.parametrize(
    ("gone", "loops", "backoff"),
    [
        ((), State.OK, State.OK),  # the control: everything was seen, and nothing was retried
        (("logs",), State.OK, State.OK),  # row spans and counters tell
        (("logs", "traces"), State.NO_DATA, State.OK),
        (("logs", "traces", "metrics"), State.NO_DATA, State.NO_DATA),
    ],
)
def test_rows_alone_are_no_sign_of_peace(gone, loops, backoff):
    """Who neither hears of claims nor counts retries does not know that there were none."""
    result = retries(blind(open_case("retries", source="example:placebo"), gone))
    states = _states(result)
    assert (states["retries.loops"], states["retries.backoff"]) == (loops, backoff)
    told = " ".join(finding.says for finding in result.verdict.findings)
    assert ("No retry was scheduled" in told) == (backoff is State.OK)


def test_lines_of_others_do_not_stand_in_for_workers(monkeypatch):
    """The API's log is no word of a claim."""
    case = blind(open_case("retries", source="example:placebo"), ("traces", "metrics"))
    frame = case.pull("lines")
    others = replace(frame, data=frame.data.assign(event="http.response"))
    pull = Case.pull
    monkeypatch.setattr(Case, "pull", lambda s, what: others if what == "lines" else pull(s, what))
    states = _states(retries(case))
    assert states["retries.loops"] is State.NO_DATA
    assert states["retries.backoff"] is State.NO_DATA


@pytest.mark.parametrize("odd", [10**400, float("nan"), -5, "3.0", "x", None, [1]], ids=str)
def test_odd_values_do_not_end_the_stage(monkeypatch, odd):
    """A line that holds nonsense where a number should be is one line less, no more."""
    case = open_case("retries", source="example:es_429")
    frame = case.pull("lines")
    fields = list(frame.data["fields"])
    for at in range(0, len(fields), 7):
        fields[at] = {**fields[at], "claimed": odd, "backoff_s": odd}
        if odd != "3.0":  # which is an attempt, however it is written
            fields[at]["attempt"] = odd
    damaged = replace(frame, data=frame.data.assign(fields=fields))
    pull = Case.pull
    monkeypatch.setattr(Case, "pull", lambda s, what: damaged if what == "lines" else pull(s, what))
    result = retries(replace(case, pictures=False))
    assert State.ERROR not in _states(result).values()
    assert State.BAD not in _states(result).values()
    assert result.table("waits").rows
    assert result.charts == ()


def _raises(*_given, **_named):
    raise ValueError("nonsense")


@pytest.mark.parametrize(
    ("name", "check", "lost"),
    [
        ("silent_loops", "retries.loops", {"loops"}),
        ("laws", "retries.backoff", {"waits", "waiting"}),
        ("residues", "retries.residue", {"residue"}),
    ],
)
def test_a_check_that_breaks_leaves_the_others(monkeypatch, name, check, lost):
    """It says that it broke; tables of the others are there, its own say why they are not."""
    monkeypatch.setattr(stage, name, _raises)
    result = retries(replace(open_case("retries", source="example:es_429"), pictures=False))
    assert [c for c, state in _states(result).items() if state is State.ERROR] == [check]
    broke = {t.id for t in result.tables if "broke" in t.note}
    assert (broke, tuple(t.id for t in result.tables)) == (lost, TABLES)


def test_a_chart_is_drawn_for_who_looks_at_it():
    """With pictures there is one, without there is none."""
    case = open_case("retries", source="example:placebo")
    assert [chart.id for chart in retries(case).charts] == ["attempts"]
    assert retries(replace(case, pictures=False)).charts == ()
