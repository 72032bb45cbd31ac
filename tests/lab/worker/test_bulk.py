"""Bulk mode: items succeed and fail on their own, and every signal says which."""

from __future__ import annotations

import json

import httpx
import psycopg
import pytest
from opentelemetry.trace import StatusCode

from loomtriage.lab.worker.es_client import Answer, read_items
from tests.lab.pipeline import Bench, always, database, refuse, skip_without_server

pytestmark = pytest.mark.lab

API = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.fixture(scope="module")
def dsn():
    with skip_without_server(), database() as found:
        yield found


@pytest.fixture
def bench(dsn):
    return Bench(dsn)


def items(*parts):
    """A bulk answer with these statuses; 4xx and 5xx carry an error."""

    def script(request: httpx.Request) -> httpx.Response:
        actions = [json.loads(line) for line in request.content.splitlines()]
        ops = [next(iter(a)) for a in actions if set(a) <= {"index", "delete"}]
        assert len(ops) == len(parts)
        body = [
            {op: {"status": status, **({"error": {"type": "t", "reason": "r"}} if kind else {})}}
            for op, (status, kind) in zip(ops, parts, strict=True)
        ]
        return httpx.Response(200, json={"errors": True, "items": body})

    return script


OK, POISON, BUSY, GONE = (201, False), (400, True), (429, True), (404, False)


def test_partial_request_splits_its_rows(bench):
    """Good items are done, bad ones fail, busy ones retry, and the batch says partial."""
    good, poison, busy = (bench.row(event_version=number) for number in range(3))
    watched = bench.worker(items(OK, POISON, BUSY), OUTBOX_USE_ES_BULK="1")
    watched.turns()
    assert [bench.state(row_id)["status"] for row_id in (good, poison, busy)] == [
        "done",
        "failed",
        "pending",
    ]
    assert watched.count("outbox_es_bulk_requests_total", result="partial") == 1
    assert watched.count("outbox_es_bulk_failed_requests_total", reason="mixed") == 1
    assert watched.count("outbox_es_bulk_items_total", op="index", result="success") == 1
    assert watched.count("outbox_es_bulk_items_total", op="index", result="failed") == 2
    for label in ("4xx", "429"):
        name = "outbox_es_bulk_item_failures_total"
        assert watched.count(name, op="index", failure_class=label) == 1
    assert watched.count("outbox_es_bulk_request_duration_seconds_count") == 1
    (batch,) = watched.spans("projection.process_batch")
    (post,) = watched.spans("POST")
    assert (batch.attributes["result"], batch.attributes["reason"]) == ("partial", "mixed")
    assert (batch.attributes["ok_count"], batch.attributes["mode"]) == (1, "es_bulk")
    assert batch.status.status_code is StatusCode.ERROR
    assert post.parent.span_id == batch.context.span_id
    results = {s.attributes["wordloom.outbox_event_id"]: s for s in watched.spans("outbox.process")}
    assert results[str(poison)].attributes["reason"] == "mapping_conflict"
    assert results[str(poison)].attributes["http.status_code"] == 400


def test_whole_request_that_fails_fails_every_item(bench):
    """A refused connection retries all rows, and is not booked as a server error."""
    rows = [bench.row() for _ in range(3)]
    watched = bench.worker(refuse, OUTBOX_USE_ES_BULK="1")
    watched.turns()
    assert {bench.state(row_id)["error_reason"] for row_id in rows} == {"es_unreachable"}
    assert watched.count("outbox_es_bulk_requests_total", result="failed") == 1
    assert watched.count("outbox_es_bulk_failed_requests_total", reason="es_unreachable") == 1
    assert watched.count("outbox_retry_scheduled_total", op="upsert", reason="es_unreachable") == 3
    name = "outbox_es_bulk_item_failures_total"
    assert watched.count(name, op="index", failure_class="unknown") == 3


def test_whole_request_answered_429_is_rate_limited(bench):
    """The other form of a full queue: one 429 for the request."""
    row_id = bench.row()
    watched = bench.worker(always(429, "es_rejected_execution_exception"), OUTBOX_USE_ES_BULK="1")
    watched.turns()
    assert bench.state(row_id)["error_reason"] == "rate_limited"


def test_bulk_delete_of_a_missing_document_is_a_noop_too(bench):
    """Bulk mode counts no-ops like the other mode, and sets the time of the last success."""
    row_id = bench.row("delete")
    watched = bench.worker(items(GONE), OUTBOX_USE_ES_BULK="1")
    watched.turns()
    assert bench.state(row_id)["status"] == "done"
    assert watched.count("outbox_idempotent_noop_total", op="delete", reason="es_404") == 1
    assert watched.count("outbox_last_success_timestamp_seconds") > 0
    assert watched.count("outbox_es_bulk_requests_total", result="success") == 1


def test_rows_without_a_write_are_not_in_the_request(bench):
    """A missing search row and an unknown op are settled without Elasticsearch."""
    missing, odd, good = bench.row(has_source=False), bench.row("oops"), bench.row()
    watched = bench.worker(items(OK), OUTBOX_USE_ES_BULK="1")
    watched.turns()
    states = [bench.state(row_id)["status"] for row_id in (missing, odd, good)]
    assert states == ["done", "failed", "done"]
    assert len(watched.log.of("outbox.source_row_missing")) == 1
    assert watched.count("outbox_es_bulk_items_total", op="index", result="success") == 1


def test_broken_batch_is_let_go(bench):
    """Rows of a batch that an exception cut short are held no longer: their lease must end."""
    bench.row()
    watched = bench.worker(always(200), OUTBOX_USE_ES_BULK="1")
    bench.run("ALTER TABLE search_index RENAME TO hidden")
    try:
        with pytest.raises(psycopg.errors.UndefinedTable):
            watched.worker.turn()
    finally:
        bench.run("ALTER TABLE hidden RENAME TO search_index")
    assert watched.worker.desk.held.ids() == []
    (batch,) = watched.spans("projection.process_batch")
    assert (batch.attributes["result"], batch.attributes["reason"]) == ("failed", "unknown")


def test_shared_parent_holds_in_bulk_mode(bench):
    """The request of a batch from one API call stands in that call's trace."""
    for _ in range(2):
        bench.row(traceparent=API)
    watched = bench.worker(items(OK, OK), OUTBOX_USE_ES_BULK="1")
    watched.turns()
    assert {s.context.trace_id for s in watched.spans("POST")} == {int("a" * 32, 16)}


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"items": None}, {"items": [{}]}, {"items": [{"index": {}}] * 3}, "text"],
)
def test_unreadable_bulk_answer_has_no_status(body):
    """An answer that does not fit the request says nothing about any item: nothing is guessed."""
    answers = read_items(body, 2)
    assert len(answers) == 2
    assert {found.status for found in answers} == {None}


def test_item_status_must_be_a_number():
    """A status of another type counts as none."""
    body = {"items": [{"index": {"status": True}}, {"index": {"status": 201}}]}
    assert read_items(body, 2) == (Answer(status=None), Answer(status=201))
