"""The trace collector goes away while workers run, and the business does not notice."""

from __future__ import annotations

import uuid

import httpx
import psycopg
import pytest

from tests.lab.services import until

pytestmark = pytest.mark.lab

LOST = "outbox_trace_export_failures_total"
SERVICE = "wordloom-search-outbox-worker"


def lost(lab, port):
    text = httpx.get(f"http://127.0.0.1:{lab.ports[port]}/metrics", trust_env=False).text
    return sum(float(x.split()[-1]) for x in text.splitlines() if x.startswith(f"{LOST}{{"))


def write(lab):
    """Write a book; its id as it stands on spans."""
    book = uuid.uuid4()
    url = f"{lab.api_url}/books/{book}"
    assert httpx.put(url, json={"title": "loom"}, trust_env=False).is_success
    return str(book)


def statuses(lab, book):
    with psycopg.connect(lab.triage_dsn) as database:
        return database.execute(
            "SELECT (SELECT status FROM search_outbox_events WHERE entity_id = %(id)s), (SELECT"
            " status FROM chronicle_outbox_events AS o JOIN chronicle_events AS e"
            " ON e.id = o.entity_id WHERE e.book_id = %(id)s)",
            {"id": book},
        ).fetchone()


def is_traced(lab, book):
    query = {"service": SERVICE, "tags": f'{{"wordloom.entity_id":"{book}"}}', "limit": 5}
    found = httpx.get(f"{lab.jaeger_url}/api/traces", params=query, trust_env=False).json()
    return bool(found["data"])


def test_spans_are_lost_and_counted_while_both_projections_go_on(lab):
    """A refused collector costs spans and nothing else; when it is back, spans arrive again."""
    faults, headers = f"{lab.proxy_url}/faults", {"X-Lab-Token": lab.token}
    order = {"id": "loss", "kind": "refuse", "target": "otlp", "lease_s": 30}
    httpx.post(faults, json=order, headers=headers, trust_env=False).raise_for_status()
    unseen = write(lab)
    until(lambda: statuses(lab, unseen) == ("done", "done"), "the work of both projections")
    for _ in range(2):  # the first batch that is lost may have been taken before its spans ended
        before = {port: lost(lab, port) for port in ("worker", "chronicle")}
        write(lab)
        for port, count in before.items():
            until(lambda port=port, count=count: lost(lab, port) > count, f"a counted loss: {port}")
    gone = httpx.delete(f"{faults}/loss", headers=headers, trust_env=False).json()
    assert gone["acted"] >= 2
    seen = write(lab)
    until(lambda: is_traced(lab, seen), "its spans")
    assert not is_traced(lab, unseen)
