"""Steps: errors, own time, and the deepest one that explains the rest."""

from __future__ import annotations

import pandas as pd
import pytest

from loomtriage.analysis.steps import compare, deepest, failing, self_time
from tests.make import span, spans

RETRY = {"result": "retry", "reason": "es_unreachable"}


def trace(number: int, *, bad: bool) -> list[dict[str, object]]:
    """Batch › row › client call."""
    name, outcome = f"t{number}", RETRY if bad else {"result": "ok"}
    return [
        span(name, "a", "projection.process_batch", attributes=outcome, duration_s=0.3),
        span(name, "b", "outbox.process", parent="a", attributes=outcome, duration_s=0.2),
        span(name, "c", "PUT", parent="b", kind="client", error=bad, duration_s=0.1),
    ]


def many(count: int, *, bad: bool, first: int = 0) -> pd.DataFrame:
    return spans(*[row for i in range(first, first + count) for row in trace(i, bad=bad)])


def test_the_deepest_failing_step_is_the_client_call():
    """Parents fail because their child does, so the child is named."""
    found = compare(many(20, bad=True), many(30, bad=False, first=100))
    step = deepest(found)
    assert (step.operation, step.parent, step.errors, step.errors_before) == (
        "PUT",
        "outbox.process",
        20,
        0,
    )


def test_a_healthy_window_has_no_failing_step():
    """Nothing fails, nothing is named."""
    assert deepest(compare(many(20, bad=False), many(20, bad=False, first=50))) is None


def test_the_same_error_rate_as_before_is_not_named():
    """A constant background of errors is no change, however much traffic there is."""
    now = pd.concat([many(30, bad=False), many(10, bad=True, first=30)])
    before = pd.concat([many(90, bad=False, first=100), many(30, bad=True, first=200)])
    assert deepest(compare(now.reset_index(drop=True), before.reset_index(drop=True))) is None


def test_a_retry_fails_even_when_the_span_status_does_not_say_so():
    """A worker that schedules a retry has not succeeded."""
    table = spans(span("t", "a", "projection.process_batch", attributes=RETRY))
    assert failing(table).tolist() == [True]


def test_without_a_baseline_present_errors_count():
    """Nothing to compare with: what fails is shown, without a statistic."""
    step = deepest(compare(many(2, bad=True), many(0, bad=False)))
    assert (step.operation, step.g2, step.calls_before) == ("PUT", 0.0, 0)


def test_own_time_subtracts_the_union_of_children():
    """Children that overlap are not subtracted twice, and nothing goes below zero."""
    table = spans(
        span("t", "a", "parent", start=0.0, duration_s=1.0),
        span("t", "b", "child", parent="a", start=0.1, duration_s=0.4),
        span("t", "c", "child", parent="a", start=0.3, duration_s=0.4),
        span("t", "d", "child", parent="a", start=0.9, duration_s=5.0),
    )
    # union of [0.1,0.5] [0.3,0.7] [0.9,1.0] inside [0,1] is 0.7, so 0.3 s are the parent's own
    assert self_time(table).tolist() == pytest.approx([0.3, 0.4, 0.4, 5.0])


def test_no_spans_no_steps():
    """An empty table compares to nothing."""
    assert compare(spans(), spans()) == ()
