"""Every write to a book or its blocks leaves one chronicle event, in its own transaction."""

from __future__ import annotations

import uuid

import pytest

from loomtriage.lab.telemetry.trace_context import correlation_of
from tests.lab.api.test_api import Front
from tests.lab.pipeline import database, skip_without_server

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def dsn():
    with skip_without_server(), database() as found:
        yield found


@pytest.fixture
def front(dsn):
    made = Front(dsn)
    yield made
    made.sessions.close()


def told(front):
    return front.bench.run("SELECT * FROM chronicle_events ORDER BY occurred_at, created_at")


def test_a_write_leaves_an_event_with_its_correlation_id_and_its_own_outbox_row(front):
    """Event and outbox row point to each other and to the request that made them."""
    book, block = uuid.uuid4(), uuid.uuid4()
    front.put(f"/books/{book}", json={"title": "Loom"})
    body = {"text": "warp", "book_id": str(book)}
    front.put(f"/blocks/{block}", json=body, headers={"X-Request-Id": "abc"})
    front.put(f"/blocks/{block}", json={**body, "text": "weft"})
    front.delete(f"/blocks/{block}")
    events = told(front)
    kinds = ["book_created", "block_created", "block_updated", "block_deleted"]
    assert [event["event_type"] for event in events] == kinds
    assert {event["book_id"] for event in events} == {book}
    assert events[1]["correlation_id"] == "abc"
    assert events[-1]["payload"]["block_id"] == str(block)
    rows = front.bench.run("SELECT * FROM chronicle_outbox_events ORDER BY created_at")
    assert [row["entity_id"] for row in rows] == [event["id"] for event in events]
    assert {(row["entity_type"], row["op"], row["status"]) for row in rows} == {
        ("chronicle_event", "upsert", "pending")
    }
    assert correlation_of(rows[1]["tracestate"]) == "abc"
    assert rows[1]["traceparent"] == front.outbox()[1]["traceparent"]


def test_what_belongs_to_no_book_is_not_told(front):
    """Tags, loose blocks and a deleted book leave a search event and no chronicle event."""
    book = uuid.uuid4()
    front.put(f"/tags/{uuid.uuid4()}", json={"title": "a"})
    front.put(f"/blocks/{uuid.uuid4()}", json={"text": "a"})
    front.put(f"/books/{book}", json={"title": "a"})
    assert front.delete(f"/books/{book}").status_code == 200
    assert told(front) == []
    assert len(front.outbox()) == 4
