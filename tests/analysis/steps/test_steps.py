"""Steps: errors once per piece of work, and the deepest one that explains the rest."""

from __future__ import annotations

import pandas as pd
import pytest

from loomtriage.analysis.steps.calls import tally
from loomtriage.analysis.steps.outcomes import failing
from loomtriage.analysis.steps.ranking import compare, deepest
from tests.make import span, spans

RETRY = {"result": "retry", "reason": "es_unreachable"}
BATCH, ROW = "projection.process_batch", "outbox.process"


def trace(number: int, *, bad: bool, event: str = "") -> list[dict[str, object]]:
    """Batch › row › client call."""
    name, outcome = f"t{number}", RETRY if bad else {"result": "ok"}
    row = outcome | ({"wordloom.outbox_event_id": event} if event else {})
    claim = outcome | ({"wordloom.claim_batch_id": name} if event else {})
    return [
        span(name, "a", BATCH, attributes=claim, duration_s=0.3),
        span(name, "b", ROW, parent="a", attributes=row, duration_s=0.2),
        span(name, "c", "PUT", parent="b", kind="client", error=bad, duration_s=0.1),
    ]


def many(count: int, *, bad: bool, first: int = 0, attempts: int = 0) -> pd.DataFrame:
    """Traces of as many rows; with `attempts` each row is named, and tried so often."""
    return spans(
        *[
            row
            for i in range(first, first + count)
            for attempt in range(attempts or 1)
            for row in trace(i * 1000 + attempt, bad=bad, event=f"e{i}" if attempts else "")
        ]
    )


def test_the_deepest_failing_step_is_the_client_call():
    """Parents fail because their child does, so the child is named."""
    step = deepest(compare(many(20, bad=True), many(30, bad=False, first=100)))
    named = (step.operation, step.parent, step.errors, step.errors_before)
    assert named == ("PUT", ROW, 20, 0)


def test_a_healthy_window_has_no_failing_step():
    """Nothing fails, nothing is named."""
    assert deepest(compare(many(20, bad=False), many(20, bad=False, first=50))) is None


def test_the_same_error_rate_as_before_is_not_named():
    """A constant background of errors is no change, however much traffic there is."""
    now = pd.concat([many(30, bad=False), many(10, bad=True, first=30)], ignore_index=True)
    before = pd.concat(
        [many(90, bad=False, first=100), many(30, bad=True, first=200)], ignore_index=True
    )
    assert deepest(compare(now, before)) is None


@pytest.mark.parametrize("attempts", [1, 3, 10])
def test_retries_of_a_row_count_once(attempts):
    """The same fault gives the same ranking and numbers, however often its rows were tried."""
    found = compare(
        many(8, bad=True, attempts=attempts), many(30, bad=False, first=100, attempts=1)
    )
    assert {(s.operation, s.calls, s.errors, s.attempts) for s in found} == {
        (name, 8, 8, 8 * attempts) for name in (BATCH, ROW, "PUT")
    }
    assert len({round(s.g2, 9) for s in found}) == 1
    assert deepest(found).operation == "PUT"


@pytest.mark.parametrize(
    ("attributes", "calls"),
    [
        pytest.param([{"wordloom.outbox_event_id": "e"}] * 3, 1, id="one row"),
        pytest.param([{"wordloom.outbox.id": "e"}] * 3, 1, id="one row, older spelling"),
        pytest.param([{"wordloom.claim_batch_id": "c"}] * 3, 1, id="one claim"),
        pytest.param([{"wordloom.outbox_event_id": str(i)} for i in range(3)], 3, id="three rows"),
        pytest.param([{}] * 3, 3, id="nothing named"),
    ],
)
def test_work_is_known_by_its_row_or_its_claim(attributes, calls):
    """Spans of one row, or one claim, in whichever trace are one call; others stand alone."""
    table = spans(*[span(f"t{i}", "a", ROW, attributes=a) for i, a in enumerate(attributes)])
    (step,) = tally(table).steps.values()
    assert (step.calls, step.attempts) == (calls, 3)


@pytest.mark.parametrize(
    ("operation", "error", "attributes", "fails"),
    [
        pytest.param(BATCH, False, RETRY, True, id="retry without an error tag"),
        pytest.param(BATCH, False, {"wordloom.result": "failed"}, True, id="older spelling"),
        pytest.param(BATCH, False, {"result": "ok", "retry_count": 1}, True, id="ok that counts 1"),
        pytest.param(BATCH, False, {"result": "ok", "failure_count": 2}, True, id="bulk items"),
        pytest.param(BATCH, False, {"result": "ok", "failed_count": 0}, False, id="ok"),
        pytest.param(BATCH, False, {"result": "ok", "retry_count": "x"}, False, id="no number"),
        pytest.param(ROW, False, {"idempotent_noop": True, "result": "ok"}, False, id="noop"),
        pytest.param("PUT", True, {}, True, id="error tag"),
        pytest.param("PUT", False, {}, False, id="nothing said"),
    ],
)
def test_what_counts_as_failed(operation, error, attributes, fails):
    """Status, result and counted items: any of them, and nothing else."""
    table = spans(span("t", "a", operation, error=error, attributes=attributes))
    assert failing(table).tolist() == [fails]


def test_without_a_baseline_the_failing_share_ranks():
    """Nothing to compare with: what fails is shown, without a statistic."""
    found = compare(many(2, bad=True), spans())
    step = deepest(found)
    assert (step.operation, step.g2, step.calls_before, step.pace.slower) == ("PUT", 0.0, 0, False)
    shares = [s.errors / s.calls for s in found]
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(("failed", "named"), [(20, True), (1, False), (0, False)])
def test_a_step_that_the_baseline_lacks_is_judged_by_its_work(failed, named):
    """A new step that fails 20 of 20 times is a change; one failure in 60 is not."""
    calm = many(40, bad=False, first=100)
    new = [
        span(f"n{i}", "a", "NEW", error=i < failed, attributes={"result": "ok"}) for i in range(60)
    ]
    step = deepest(compare(pd.concat([calm, spans(*new)], ignore_index=True), calm))
    assert (step is not None and step.operation == "NEW") is named


def test_steps_that_call_each_other_still_name_one():
    """Two steps in a circle explain each other; the failure is not lost for it."""
    rows = [
        row
        for i in range(20)
        for row in (
            span(f"t{i}", "a", "X", error=True),
            span(f"t{i}", "b", "Y", parent="a", error=True),
            span(f"u{i}", "a", "Y", error=True),
            span(f"u{i}", "b", "X", parent="a", error=True),
        )
    ]
    assert deepest(compare(spans(*rows), spans())) is not None


def test_the_same_operation_of_another_service_is_another_step():
    """A failing child explains its own parent only, not a namesake elsewhere."""
    rows = [span(f"t{i}", "a", "call", service="one", error=True) for i in range(25)]
    for i in range(20):
        rows.append(span(f"u{i}", "a", "call", service="two"))
        rows.append(span(f"u{i}", "b", "PUT", service="two", parent="a", error=True))
    found = compare(spans(*rows), spans())
    assert {str(s) for s in found if s.passes} == {"one › call", "two › PUT"}
    assert str(deepest(found)) == "one › call"


def test_no_spans_no_steps():
    """An empty table compares to nothing."""
    assert compare(spans(), spans()) == ()
