"""Gauges: the band of the baseline, and the bound that holds whatever the baseline was."""

from __future__ import annotations

import pytest

from loomtriage.analysis.counters.gauges import moves
from loomtriage.contract.catalogue import BY_ID
from loomtriage.contract.keys import SEARCH
from tests.make import BASELINE, WINDOW, column, metrics


@pytest.mark.parametrize(
    ("before", "now", "moved"),
    [(1.0, 1.5, False), (1.0, 60.0, True), (4000.0, 4000.0, True), (290.0, 297.0, False)],
)
def test_an_age_past_its_threshold_has_moved_even_when_it_was_so_before(before, now, moved):
    """An outage older than the baseline is not healthy."""
    frame = metrics({column("oldest_age"): [before] * 30 + [now] * 30})
    (move,) = moves(frame, BY_ID["oldest_age"], window=WINDOW, baseline=BASELINE)
    assert move.moved is moved


def compared(metric: str, series, *, dead: float = 0.0):
    (move,) = moves(
        metrics(series), BY_ID[metric], window=WINDOW, baseline=BASELINE, dead={SEARCH: dead}
    )
    return move


def test_rows_that_failed_for_good_are_no_backlog():
    """Without a gauge of its own, dead letters sit in the lag; the counter tells how many."""
    lag = {column("lag"): [2.0] * 30 + [42.0] * 30}
    assert compared("lag", lag).moved
    excused = compared("lag", lag, dead=40.0)
    assert (excused.moved, excused.excused) == (False, True)


def test_a_worker_that_counts_dead_letters_apart_needs_no_excuse():
    """There a lag is a backlog, whatever failed beside it."""
    series = {column("lag"): [2.0] * 30 + [42.0] * 30, column("dead_letter"): [0.0, 40.0]}
    assert compared("lag", series, dead=40.0).moved


def test_residue_of_old_dead_letters_is_a_warning_and_not_an_alarm():
    """An age of days beside a lag that stands still is nothing that could be claimed."""
    age = {column("oldest_age"): [540_000.0 + s for s in range(60)]}
    assert compared("oldest_age", {**age, column("lag"): [1.0] * 30 + [60.0] * 30}).moved
    still = compared("oldest_age", {**age, column("lag"): [39.0] * 60})
    assert (still.moved, still.excused) == (False, True)


def test_dead_rows_of_another_projection_excuse_nothing():
    """A real backlog stays one, whatever failed for good elsewhere."""
    series = {column("lag"): [2.0] * 30 + [42.0] * 30}
    (move,) = moves(
        metrics(series), BY_ID["lag"], window=WINDOW, baseline=BASELINE, dead={"other": 40.0}
    )
    assert (move.moved, move.excused) == (True, False)
