"""Silence: a signal that ends while work goes on, and one that ends with the work."""

from __future__ import annotations

import pytest

from loomtriage.analysis.causes.silence import SURE, silences
from loomtriage.contract.keys import SEARCH
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
    assert silences(work(30, 30), spans(), told, span=BOTH).files == {"worker.log": ()}


def test_rows_counted_across_the_last_line_may_have_been_done_before_it():
    """One scrape tells of the last batch a moment after its lines; nothing is silent."""
    told = lines(*(line("x", seconds=1.5 + n, file="worker.log") for n in range(58)))
    counted_late = metrics({column("processed", op="upsert"): [*ramp(30, 0)[:59], 50.0]})
    assert silences(counted_late, spans(), told, span=BOTH).files == {}
    # Negative control: as many in the scrapes behind that one.
    early = told.iloc[:50]
    assert silences(work(30, 60), spans(), early, span=BOTH).files == {"worker.log": ()}


def test_a_file_is_compared_with_one_worker_of_its_projection():
    """The other worker's rows, and another projection's, are not this file's to tell of."""
    told = lines(
        *(
            line("x", seconds=1.0 + n, file="worker.log", fields={"projection": "search"})
            for n in range(38)
        )
    )
    mine = column("processed", op="upsert")
    stopped = ramp(30, 0)[:38] + [30.0] * 22
    other = column("processed", op="upsert", instance="w2")
    chronicle = column(
        "processed", op="upsert", instance="w3", projection="chronicle_events_to_entries"
    )
    for beside in (other, chronicle):
        work_of_two = metrics({mine: stopped, beside: ramp(30, 30)})
        assert silences(work_of_two, spans(), told, span=BOTH).files == {}
    both_go_on = metrics({mine: ramp(30, 30), other: ramp(30, 30)})
    assert silences(both_go_on, spans(), told, span=BOTH).files == {"worker.log": (SEARCH,)}


def test_spans_of_one_projection_are_not_missed_for_the_work_of_another():
    """The chronicle goes on; the search worker, whose spans these are, has nothing to do."""
    search = spans(
        *(
            span(f"t{n}", "r", "outbox.process", start=1.0 + n, attributes={"projection": "search"})
            for n in range(38)
        )
    )
    idle = ramp(30, 0)[:38] + [30.0] * 22
    chronicle = column("processed", op="upsert", projection="chronicle_events_to_entries")
    frame = metrics({column("processed", op="upsert"): idle, chronicle: ramp(30, 30)})
    assert silences(frame, search, lines(), span=BOTH).spans.expected < SURE
    busy = metrics({column("processed", op="upsert"): ramp(30, 30), chronicle: ramp(30, 30)})
    assert silences(busy, search, lines(), span=BOTH).spans.expected >= SURE
