"""The verdict algebra: worst wins, nothing is NO_DATA, merging never improves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomtriage.model import Finding, State, judge, worst
from loomtriage.model.verdict import EXIT_OF_STATE

states = st.lists(st.sampled_from(State), max_size=8)


def finding(state: State) -> Finding:
    return Finding(check="test.x", state=state, says=f"{state} says")


def test_no_findings_is_no_data_and_not_ok():
    """What nobody checked is not healthy."""
    verdict = judge([])
    assert verdict.state is State.NO_DATA
    assert verdict.exit_code == 3


@given(states, states)
def test_merging_is_associative_and_never_improves(some, more):
    """Adding findings can only make a verdict worse."""
    if some and more:
        assert worst([*some, *more]) == worst([worst(some), worst(more)])
    if some:
        assert worst([*some, *more]).rank >= worst(some).rank


@pytest.mark.parametrize(
    ("state", "code"),
    [(State.OK, 0), (State.WARN, 1), (State.NO_DATA, 3), (State.ERROR, 4), (State.BAD, 1)],
)
def test_each_state_has_its_exit_code(state, code):
    """The table that scripts rely on."""
    assert EXIT_OF_STATE[state] == code


def test_the_headline_is_the_worst_finding():
    """Without a headline of its own a verdict says the worst."""
    verdict = judge([finding(State.OK), finding(State.BAD), finding(State.WARN)])
    assert verdict.headline == "BAD says"


def test_missing_data_outranks_ok_and_warn():
    """NO_DATA cannot be hidden by healthy findings."""
    assert worst([State.OK, State.NO_DATA, State.WARN]) is State.NO_DATA
