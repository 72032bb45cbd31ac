"""The search worker row by row: what each answer does to row, metric, span and log line."""

from __future__ import annotations

import json
import uuid

import pytest
from opentelemetry.trace import StatusCode

from tests.lab.pipeline import Bench, always, answer, database, refuse, skip_without_server

pytestmark = pytest.mark.lab

POR = ("failed", "retry_scheduled", "terminal_failed")
API = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
OTHER = "00-" + "c" * 32 + "-" + "d" * 16 + "-01"


@pytest.fixture(scope="module")
def dsn():
    with skip_without_server(), database() as found:
        yield found


@pytest.fixture
def bench(dsn):
    return Bench(dsn)


def _counts(watched, op, reason):
    return tuple(watched.count(f"outbox_{name}_total", op=op, reason=reason) for name in POR)


@pytest.mark.parametrize(
    ("script", "reason", "http_status"),
    [
        (refuse, "es_unreachable", None),
        (always(429, "es_rejected_execution_exception"), "rate_limited", 429),
        (always(503, "unavailable"), "es_5xx", 503),
    ],
)
def test_transient_answer_schedules_a_retry(bench, script, reason, http_status):
    """A transient failure puts the row back with reason and time, and all signals agree."""
    row_id = bench.row(tracestate="wordloom=req-1")
    watched = bench.worker(script)
    watched.turns()
    row, (line,) = bench.state(row_id), watched.log.of("outbox.row_retry")
    (span,) = watched.spans("outbox.process")
    assert (row["status"], row["attempts"], row["error_reason"]) == ("pending", 1, reason)
    assert row["owner"] is row["lease_until"] is row["processing_started_at"] is None
    assert _counts(watched, "upsert", reason) == (1, 1, 0)
    assert watched.count("outbox_processed_total", op="upsert") == 0
    assert (line["level"], line["reason"], line["attempt"]) == ("WARNING", reason, row["attempts"])
    assert line["http_status"] == http_status
    assert line["next_retry_at"] == row["next_retry_at"].isoformat()
    assert line["correlation_id"] == "req-1"
    assert line["outbox_event_id"] == str(row_id)
    assert (span.attributes["result"], span.attributes["reason"]) == ("retry", reason)
    assert span.attributes["attempt"] == row["attempts"]
    assert span.attributes.get("http.status_code") == http_status
    assert span.status.status_code is StatusCode.ERROR
    assert line["span_id"] == f"{span.context.span_id:016x}"


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (400, "document_parsing_exception", "mapping_conflict"),
        (403, "cluster_block_exception", "es_write_blocked"),
        (413, "too_large", "es_4xx"),
    ],
)
def test_deterministic_answer_ends_the_row(bench, status, kind, reason):
    """A 4xx is never retried: the row fails on its first attempt and keeps the error's text."""
    row_id = bench.row()
    watched = bench.worker(always(status, kind))
    watched.turns()
    row, (line,) = bench.state(row_id), watched.log.of("outbox.row_failed")
    assert (row["status"], row["attempts"], row["next_retry_at"]) == ("failed", 1, None)
    assert row["processed_at"] is None
    assert row["error"] == f"{kind}: because"
    assert _counts(watched, "upsert", reason) == (1, 0, 1)
    assert (line["level"], line["reason"], line["http_status"]) == ("ERROR", reason, status)
    (batch,) = watched.spans("projection.process_batch")
    assert (batch.attributes["result"], batch.attributes["reason"]) == ("failed", reason)
    assert batch.status.status_code is StatusCode.ERROR


def test_delete_of_a_missing_document_is_a_noop_and_no_error(bench):
    """A 404 on delete is success: counted as no-op, and no span says error."""
    row_id = bench.row("delete")
    watched = bench.worker(always(404))
    watched.turns()
    assert bench.state(row_id)["status"] == "done"
    assert watched.count("outbox_idempotent_noop_total", op="delete", reason="es_404") == 1
    assert watched.count("outbox_processed_total", op="delete") == 1
    assert watched.spans("outbox.process")[0].attributes["wordloom.idempotent_noop"] is True
    assert {span.status.status_code for span in watched.exporter.get_finished_spans()} == {
        StatusCode.UNSET,
        StatusCode.OK,
    }


def test_put_answered_404_is_not_a_noop(bench):
    """Only a delete may be answered 404; a write into nowhere fails for good."""
    row_id = bench.row()
    watched = bench.worker(always(404, "index_not_found_exception"))
    watched.turns()
    assert bench.state(row_id)["error_reason"] == "es_4xx"
    assert watched.count("outbox_idempotent_noop_total", op="upsert", reason="es_404") == 0


def test_superseded_write_is_done_without_an_error(bench):
    """When a newer version is in the index already, the older event has nothing left to do."""
    row_id = bench.row()
    watched = bench.worker(always(409, "version_conflict_engine_exception"))
    watched.turns()
    assert bench.state(row_id)["status"] == "done"
    assert watched.count("outbox_failed_total", op="upsert", reason="es_4xx") == 0


def test_missing_search_row_is_a_finding_of_its_own(bench):
    """An upsert without a search row is acknowledged, but not in silence and without a request."""
    seen = []
    row_id = bench.row(has_source=False)
    watched = bench.worker(lambda request: seen.append(request) or answer(200))
    watched.turns()
    (line,) = watched.log.of("outbox.source_row_missing")
    assert (bench.state(row_id)["status"], seen) == ("done", [])
    assert (line["level"], line["outbox_event_id"]) == ("WARNING", str(row_id))


def test_upsert_overtaken_by_its_delete_is_no_finding(bench):
    """When the search row went with a delete that follows, nothing is missing."""
    entity_id = uuid.uuid4()
    bench.row(entity_id=entity_id, event_version=1, has_source=False)
    bench.row("delete", entity_id=entity_id, event_version=2)
    watched = bench.worker(always(200))
    watched.turns()
    assert watched.log.of("outbox.source_row_missing") == []
    assert [line["level"] for line in watched.log.of("outbox.row_overtaken")] == ["INFO"]


def test_unknown_op_ends_the_row_under_one_label(bench):
    """An op that does not exist fails for good, and its text never becomes a label."""
    row_id = bench.row("upsrt-" + "9" * 10)
    watched = bench.worker(always(200))
    watched.turns()
    assert bench.state(row_id)["error_reason"] == "unknown_op"
    assert _counts(watched, "unknown", "unknown_op") == (1, 0, 1)


def test_poison_number_is_refused_by_elasticsearch_not_by_us(bench):
    """A rank that JSON cannot express travels as text, so that the 400 is the server's."""
    bodies = []

    def script(request):
        bodies.append(json.loads(request.content))
        return answer(400)

    entity_id = uuid.uuid4()
    bench.row(entity_id=entity_id)
    bench.run("UPDATE search_index SET rank_score = 'NaN' WHERE entity_id = %s", entity_id)
    watched = bench.worker(
        lambda request: bodies.append(json.loads(request.content)) or answer(400)
    )
    watched.turns()
    assert bodies[0]["rank_score"] == "nan"
    assert _counts(watched, "upsert", "mapping_conflict") == (1, 0, 1)


def test_a_waiting_delete_is_not_overtaken(bench):
    """A later event of an entity waits for the earlier one's retry; other entities do not."""
    entity_id = uuid.uuid4()
    first = bench.row("delete", entity_id=entity_id, event_version=1)
    second = bench.row("upsert", entity_id=entity_id, event_version=2)
    bystander = bench.row(event_version=3)
    is_down = lambda request: refuse(request) if request.method == "DELETE" else answer(201)  # noqa: E731
    bench.worker(is_down).turns()
    states = [bench.state(row_id)["status"] for row_id in (first, second, bystander)]
    assert states == ["pending", "pending", "done"]
    bench.run("UPDATE search_outbox_events SET next_retry_at = NULL")
    methods = []
    bench.worker(lambda request: methods.append(request.method) or answer(200)).turns()
    assert methods == ["DELETE", "PUT"]


def test_shared_trace_is_continued_and_mixed_ones_are_linked(bench):
    """A batch from one request hangs under it; rows of several requests link to theirs."""
    bench.row(traceparent=API, tracestate="wordloom=r")
    alone = bench.worker(always(201))
    alone.turns()
    (batch,) = alone.spans("projection.process_batch")
    assert (batch.context.trace_id, batch.parent.span_id) == (int("a" * 32, 16), int("b" * 16, 16))
    for traceparent in (API, OTHER, None):
        bench.row(traceparent=traceparent)
    mixed = bench.worker(always(201))
    mixed.turns()
    (batch,) = mixed.spans("projection.process_batch")
    links = {
        tuple(f"{link.context.trace_id:032x}" for link in s.links)
        for s in mixed.spans("outbox.process")
    }
    assert batch.parent is None
    assert links == {("a" * 32,), ("c" * 32,), ()}


def test_empty_polls_leave_no_spans(bench):
    """A worker without work does not bury the trace store, nor the log at INFO."""
    watched = bench.worker(always(201))
    watched.turns()
    assert watched.exporter.get_finished_spans() == ()
    assert {line["level"] for line in watched.log.lines} == {"DEBUG"}


def test_concurrent_rows_keep_their_own_spans(bench):
    """With several rows at once every log line still carries its own row's span."""
    rows = {str(bench.row()) for _ in range(12)}
    watched = bench.worker(always(201), OUTBOX_CONCURRENCY="4", OUTBOX_BULK_SIZE="12")
    watched.turns()
    spans = {f"{s.context.span_id:016x}": s for s in watched.spans("outbox.process")}
    lines = watched.log.of("outbox.row_done")
    assert {line["outbox_event_id"] for line in lines} == rows
    for line in lines:
        assert (
            spans[line["span_id"]].attributes["wordloom.outbox_event_id"] == line["outbox_event_id"]
        )
    (batch,) = watched.spans("projection.process_batch")
    assert batch.attributes["ok_count"] == batch.attributes["batch_size"] == 12
