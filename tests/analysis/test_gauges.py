"""Gauges: the band of the baseline, and the bound that holds whatever the baseline was."""

from __future__ import annotations

import pytest

from loomtriage.analysis.gauges import moves
from loomtriage.contract.catalogue import BY_ID
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
