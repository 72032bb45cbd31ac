"""Retries: the recorded drills show backoffs that work, and what is missing is said."""

from __future__ import annotations

import pytest

from loomtriage.case import open_case
from loomtriage.model import State
from loomtriage.stages.retries import retries
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
