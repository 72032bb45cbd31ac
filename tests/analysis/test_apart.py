"""Clocks apart: measured by what two clocks date both, and by nothing else."""

from __future__ import annotations

import pandas as pd
import pytest

from loomtriage.analysis.apart import clocks_apart, told_far
from loomtriage.contract.keys import SEARCH
from tests.make import T0, WINDOW, at, column, line, lines, metrics

NO_ROWS = pd.DataFrame({"id": [], "processed_at": []})
NO_METRICS = metrics({column("up"): [1.0]}).data


def success(ahead: float, *, every: float = 1.0) -> pd.DataFrame:
    """A worker that finishes a row each `every` seconds and says so by its own clock."""
    values = [T0.timestamp() + every * (i // every) + ahead for i in range(60)]
    return metrics({column("last_success"): values}).data


@pytest.mark.parametrize("ahead", [0.0, 90.0])
def test_a_success_that_is_scraped_tells_how_far_a_worker_is_ahead(ahead):
    """The gauge is written by one clock and scraped by another."""
    (one,) = clocks_apart(success(ahead), lines(), NO_ROWS, window=WINDOW)
    assert one.ahead_s == pytest.approx(ahead)
    assert (one.n, one.projections) == (30, (SEARCH,))
    assert told_far([one]).endswith("its lines and spans lie 90.0 s ahead" if ahead else "")


def test_an_old_success_tells_of_idleness_only():
    """Nothing was measured, so nothing agrees."""
    assert clocks_apart(success(-300.0), lines(), NO_ROWS, window=WINDOW) == ()


def test_a_row_that_both_date_tells_how_far_database_and_line_are_apart():
    """A row's end stands in the outbox and in a log line; three of them are enough."""
    rows = pd.DataFrame({"id": ["e0", "e1", "e2"], "processed_at": [at(40 + 45)] * 3})
    told = [line("x", fields={"outbox_event_id": f"e{i}", "result": "ok"}) for i in range(3)]
    (one,) = clocks_apart(NO_METRICS, lines(*told), rows, window=WINDOW)
    assert (one.ahead_s, one.n) == (45.0, 3)
    assert told_far([one]).endswith("the lines of worker.log lie 45.0 s behind")
    assert clocks_apart(NO_METRICS, lines(*told[:2]), rows, window=WINDOW) == ()


def test_a_clock_that_is_set_in_the_window_does_not_hide_behind_the_baseline():
    """Each half has its own median, and the farther one counts."""
    ids = [f"e{i}" for i in range(23)]
    starts = [10.0] * 20 + [40.0] * 3
    rows = pd.DataFrame(
        {"id": ids, "processed_at": [at(s + (60 if s > 30 else 0)) for s in starts]}
    )
    told = [
        line("x", seconds=s, fields={"outbox_event_id": i, "result": "ok"})
        for i, s in zip(ids, starts, strict=True)
    ]
    (one,) = clocks_apart(NO_METRICS, lines(*told), rows, window=WINDOW)
    assert one.ahead_s == 60.0
