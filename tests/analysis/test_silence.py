"""Silence: a signal that ends while work goes on, and one that ends with the work."""

from __future__ import annotations

import pytest

from loomtriage.analysis.silence import SURE, silences
from loomtriage.model import Window
from tests.make import BASELINE, WINDOW, column, line, lines, metrics, ramp, span, spans

BOTH = Window(BASELINE.start, WINDOW.end)
EARLY = spans(*(span(f"t{n}", "r", "outbox.process", start=1.0 + n) for n in range(38)))


def work(before: float, during: float):
    return metrics({column("processed", op="upsert"): ramp(before, during)})


@pytest.mark.parametrize(("during", "stopped"), [(30, True), (0, False)])
def test_spans_that_stop_while_work_goes_on_are_no_sampling(during, stopped):
    """A trace a row until second 38, then twenty rows without any; or no rows either."""
    found = silences(work(30, during), EARLY, lines(), span=BOTH)
    assert (found.spans.expected >= SURE) is stopped


def test_sampled_spans_may_be_away_for_a_while():
    """Three traces for forty rows promise nothing for the next twenty."""
    few = EARLY.iloc[[0, 20, 37]]
    assert silences(work(30, 30), few, lines(), span=BOTH).spans.expected < SURE


def test_a_log_file_that_ends_early_is_told_from_its_neighbours():
    """The disk of one log is full; the other file goes on."""
    told = lines(
        *(line("x", seconds=1.0 + n, file="worker.log") for n in range(38)),
        *(line("x", seconds=1.0 + n, file="api.log") for n in range(58)),
    )
    assert silences(work(30, 30), spans(), told, span=BOTH).files == ("worker.log",)
