"""Steps: children that went missing, and the traces that show a change best."""

from __future__ import annotations

import pytest

from loomtriage.analysis.steps.absent_children import absences
from loomtriage.analysis.steps.calls import tally
from loomtriage.analysis.steps.example_traces import ExampleTraces, durations, example_traces
from loomtriage.analysis.steps.ranking import compare, deepest, slowest
from tests.make import span, spans


def rows_of(count, *, without=0, first=0, attempts=1, **put):
    """Traces of row › PUT; the first `without` of the rows lack the PUT in every attempt."""
    table = []
    for i in range(first, first + count):
        for attempt in range(attempts):
            name, event = f"t{i}-{attempt}", {"wordloom.outbox_event_id": f"e{i}"}
            table.append(span(name, "a", "row", attributes=event, duration_s=0.3))
            if i >= first + without:
                table.append(span(name, "b", "PUT", parent="a", **put))
    return spans(*table)


@pytest.mark.parametrize(
    ("now", "before", "found"),
    [
        pytest.param(
            {"count": 20, "without": 12}, {"count": 40}, (12, 20, 0, 40), id="a call gone"
        ),
        pytest.param(
            {"count": 20, "without": 20, "attempts": 10},
            {"count": 40},
            (20, 20, 0, 40),
            id="retries count once",
        ),
        pytest.param({"count": 20}, {"count": 40}, None, id="control: all there"),
        pytest.param({"count": 20, "without": 4}, {"count": 40}, None, id="control: below six"),
        pytest.param(
            {"count": 40, "without": 20}, {"count": 40, "without": 20}, None, id="never expected"
        ),
        pytest.param({"count": 20, "without": 20}, {"count": 3}, None, id="baseline too small"),
        pytest.param({"count": 20, "without": 20}, {"count": 0}, None, id="no baseline"),
    ],
)
def test_an_expected_child_that_is_missing(now, before, found):
    """Counted per call of the parent, against the baseline's, and only when it was expected."""
    absent = absences(tally(rows_of(**now)), tally(rows_of(**before, first=500)))
    seen = [(a.absent, a.calls, a.absent_before, a.calls_before) for a in absent]
    assert seen == ([] if found is None else [found])


def one(name, length, *, error=False):
    """A trace of row › PUT that lasts so long."""
    return [
        span(name, "a", "row", duration_s=length),
        span(name, "b", "PUT", parent="a", duration_s=length / 2, error=error),
    ]


HEALTHY = spans(*one("h1", 0.1), *one("h2", 0.32), *one("h3", 5.0), *one("sick", 0.3, error=True))


def test_examples_of_a_failing_step():
    """Median and worst among the failing, and the healthy trace nearest in duration."""
    now = spans(
        *one("f1", 0.2, error=True),
        *one("f2", 0.3, error=True),
        *one("f3", 9.0, error=True),
        *one("fine", 60.0),
    )
    step = deepest(compare(now, spans()))
    assert example_traces(now, HEALTHY, step) == ExampleTraces(median="f2", worst="f3", twin="h2")


def test_examples_of_a_slower_step():
    """By the step's own time; the failing trace of the baseline is no healthy twin."""
    now = spans(*[row for i in range(9) for row in one(f"s{i}", 3.0 + i)])
    before = spans(*[row for i in range(9) for row in one(f"b{i}", 0.1 + i / 1000)])
    found = example_traces(now, before, slowest(compare(now, before)))
    assert (found.median, found.worst, found.twin) == ("s4", "s8", "b8")
    assert found.changed == ("s4", "s8")


def test_no_step_no_examples_and_no_baseline_no_twin():
    """Nothing is shown for nothing."""
    now = spans(*one("f1", 0.2, error=True))
    assert example_traces(now, HEALTHY, None) == ExampleTraces()
    alone = example_traces(now, spans(), deepest(compare(now, spans())))
    assert alone == ExampleTraces(median="f1", worst="f1")
    assert alone.changed == ("f1",)


def test_duration_of_a_trace_is_from_first_start_to_last_end():
    """Also when work goes on after the root ended."""
    table = spans(span("t", "a", "root", duration_s=0.1), span("t", "b", "late", start=41.0))
    assert durations(table).tolist() == pytest.approx([1.1])
