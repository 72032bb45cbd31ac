"""The API: one transaction a write, one correlation id through row, span, log and header."""

from __future__ import annotations

import asyncio
import logging
import uuid

import httpx
import psycopg
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from loomtriage.lab.api.app import API_METRICS, build_api
from loomtriage.lab.db_sessions import Sessions
from loomtriage.lab.telemetry.jsonlog import EventLog
from loomtriage.lab.telemetry.meters import Meters
from loomtriage.lab.telemetry.trace_context import correlation_of
from tests.lab.pipeline import Bench, Lines, always, database, skip_without_server

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def dsn():
    with skip_without_server(), database() as found:
        yield found


class Front:
    """The API in this process, and everything that it said."""

    def __init__(self, dsn: str) -> None:
        self.bench = Bench(dsn)
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = Meters(API_METRICS, bound={"projection": ""})
        self.log = Lines()
        logger = logging.Logger("test.api")  # noqa: LOG001
        logger.addHandler(self.log)
        self.sessions = Sessions(dsn, name="api", lock_timeout_s=0.3)
        self.app = build_api(
            self.sessions,
            provider=provider,
            meters=self.meters,
            log=EventLog(logger=logger, bound={"env": "sandbox"}),
        )

    def send(self, method: str, path: str, **parts: object) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                return await http.request(method, path, **parts)

        return asyncio.run(once())

    def put(self, path: str, **parts: object) -> httpx.Response:
        return self.send("PUT", path, **parts)

    def delete(self, path: str) -> httpx.Response:
        return self.send("DELETE", path)

    def produced(self, event_type: str) -> float:
        labels = {"event_type": event_type, "entity_type": event_type.partition(".")[0]}
        found = self.meters.registry.get_sample_value("outbox_produced_total", labels)
        return found or 0.0

    def outbox(self) -> list[dict]:
        return self.bench.run("SELECT * FROM search_outbox_events ORDER BY event_version")


@pytest.fixture
def front(dsn):
    made = Front(dsn)
    yield made
    made.sessions.close()


def test_write_leaves_three_rows_and_one_count(front):
    """A PUT makes business row, search row and outbox row, then a change makes one more event."""
    block = uuid.uuid4()
    made = front.put(f"/blocks/{block}", json={"text": "warp"})
    changed = front.put(f"/blocks/{block}", json={"text": "weft"})
    assert (made.status_code, changed.status_code) == (201, 200)
    assert front.bench.run("SELECT text FROM blocks") == [{"text": "weft"}]
    (search,) = front.bench.run("SELECT * FROM search_index")
    first, second = front.outbox()
    assert (search["text"], search["event_version"]) == ("weft", second["event_version"])
    assert (first["op"], first["status"], first["entity_id"]) == ("upsert", "pending", block)
    assert made.json()["outbox_event_id"] == str(first["id"])
    assert front.produced("block.created") == front.produced("block.updated") == 1


def test_correlation_id_is_the_same_everywhere(front):
    """Header, span, both log lines and the row's tracestate carry the caller's id."""
    block = uuid.uuid4()
    sent = "load-1,with=odd chars"
    answer = front.put(f"/blocks/{block}", json={"text": "a"}, headers={"X-Request-Id": sent})
    (row,), (span,) = front.outbox(), front.exporter.get_finished_spans()
    assert answer.headers["X-Request-Id"] == sent
    assert correlation_of(row["tracestate"]) == sent
    assert span.attributes["correlation_id"] == span.attributes["wordloom.correlation_id"] == sent
    assert (span.name, span.attributes["http.status_code"]) == ("PUT /blocks/{id}", 201)
    lines = [*front.log.of("http.request_received"), *front.log.of("http.response")]
    assert [line["correlation_id"] for line in lines] == [sent, sent]
    trace_id = f"{span.context.trace_id:032x}"
    assert {line["trace_id"] for line in lines} == {trace_id}
    assert row["traceparent"].split("-")[1:3] == [trace_id, f"{span.context.span_id:016x}"]


def test_the_worker_carries_the_trace_on(front):
    """What the API wrote into the row makes the worker's spans part of the request's trace."""
    front.put(f"/blocks/{uuid.uuid4()}", json={"text": "a"}, headers={"X-Request-Id": "r-1"})
    watched = front.bench.worker(always(201))
    watched.turns()
    (span,) = front.exporter.get_finished_spans()
    (row_span,) = watched.spans("outbox.process")
    assert row_span.context.trace_id == span.context.trace_id
    assert row_span.attributes["wordloom.correlation_id"] == "r-1"


@pytest.mark.parametrize("sent", [b"x" * 5000, b"a\tb", b"\xff\xfe", b"," * 128, b"%0d%0aA: b\x7f"])
def test_hostile_request_id_is_replaced(front, sent):
    """An id that cannot be carried is replaced and reported; the write goes through."""
    answer = front.put(
        f"/blocks/{uuid.uuid4()}", json={"text": "a"}, headers={b"X-Request-Id": sent}
    )
    (row,) = front.outbox()
    assert answer.status_code == 201
    assert uuid.UUID(answer.headers["X-Request-Id"])
    assert correlation_of(row["tracestate"]) == answer.headers["X-Request-Id"]
    assert len(front.log.of("http.request_id_refused")) == 1


def test_cid_of_the_query_is_second_choice(front):
    """Without the header the `cid` parameter names the request."""
    answer = front.put(f"/tags/{uuid.uuid4()}?cid=c-9", json={"title": "a"})
    assert answer.headers["X-Request-Id"] == "c-9"
    assert front.produced("tag.created") == 1


def test_delete_removes_and_tells(front):
    """A DELETE takes business and search row away and leaves a later delete event."""
    block = uuid.uuid4()
    front.put(f"/blocks/{block}", json={"text": "a"})
    assert front.delete(f"/blocks/{block}").status_code == 200
    assert front.bench.run("SELECT 1 FROM blocks") == front.bench.run("SELECT 1 FROM search_index")
    upsert, delete = front.outbox()
    assert (upsert["op"], delete["op"]) == ("upsert", "delete")
    assert front.produced("block.deleted") == 1
    assert front.delete(f"/blocks/{block}").status_code == 404
    assert len(front.outbox()) == 2


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/blocks/{id}", '{"text": 1}', 422),
        ("/blocks/{id}", '{"text": "a\\u0000b"}', 422),
        ("/blocks/{id}", '{"text": "\\ud800"}', 422),
        ("/blocks/{id}", "{}", 422),
        ("/blocks/{id}", "not json", 422),
        ("/blocks/{id}", '{"text": "' + "x" * 100_001 + '"}', 422),
        ("/blocks/{id}", '{"text": "a", "book_id": "' + str(uuid.UUID(int=7)) + '"}', 422),
        ("/blocks/nonsense", '{"text": "a"}', 404),
        ("/shelves/{id}", '{"text": "a"}', 404),
    ],
)
def test_bad_write_changes_nothing(front, path, body, status):
    """A body or address that does not fit is refused before or inside the transaction."""
    answer = front.put(path.replace("{id}", str(uuid.uuid4())), content=body)
    assert answer.status_code == status
    assert front.outbox() == front.bench.run("SELECT 1 FROM search_index") == []
    assert front.produced("block.created") == 0
    assert front.log.of("http.response")[0]["status_code"] == status


def test_book_with_blocks_stays(front):
    """A book cannot be deleted from under its blocks, whose documents would be orphans."""
    book = uuid.uuid4()
    front.put(f"/books/{book}", json={"title": "Loom"})
    front.put(f"/blocks/{uuid.uuid4()}", json={"text": "a", "book_id": str(book)})
    assert front.delete(f"/books/{book}").status_code == 409
    assert len(front.outbox()) == 2


def test_locked_outbox_is_503_and_not_counted(front):
    """A transaction that gets no lock is rolled back whole, answered 503 and not counted."""
    with psycopg.connect(front.bench.dsn) as holder:
        holder.execute("LOCK TABLE search_outbox_events IN EXCLUSIVE MODE")
        answer = front.put(f"/blocks/{uuid.uuid4()}", json={"text": "a"})
    assert answer.status_code == 503
    assert front.bench.run("SELECT 1 FROM blocks") == []
    assert front.produced("block.created") == 0
    (span,) = front.exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR


def test_unforeseen_error_still_has_a_response_line(front):
    """An exception becomes a 500 with both ids, and `http.response` like any other request."""
    front.bench.run("ALTER TABLE search_index RENAME COLUMN snippet TO hidden")
    try:
        answer = front.put(f"/blocks/{uuid.uuid4()}", json={"text": "a"})
    finally:
        front.bench.run("ALTER TABLE search_index RENAME COLUMN hidden TO snippet")
    (line,) = front.log.of("http.response")
    assert (answer.status_code, line["status_code"]) == (500, 500)
    assert answer.headers["X-Request-Id"] == line["correlation_id"]
    assert "UndefinedColumn" in front.log.of("http.unhandled")[0]["exc_info"]


def test_scrapes_and_health_checks_are_no_requests(front):
    """/metrics and /healthz answer, and leave neither span nor line."""
    assert front.send("GET", "/healthz").json()["ok"] is True
    assert "outbox_produced_total" in front.send("GET", "/metrics").text
    assert front.exporter.get_finished_spans() == ()
    assert front.log.lines == []


def test_web_pages_and_foreign_hosts_are_refused(front):
    """Neither a web page nor a rebound name may write into the lab."""
    path = f"/blocks/{uuid.uuid4()}"
    foreign = front.put(path, json={"text": "a"}, headers={"Host": "evil.test"})
    page = front.put(path, json={"text": "a"}, headers={"Origin": "http://evil.test"})
    assert (foreign.status_code, page.status_code, front.outbox()) == (403, 403, [])
