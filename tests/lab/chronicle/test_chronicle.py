"""The chronicle worker: one entry an event, its version with it, and a missing event for good."""

from __future__ import annotations

import logging
import uuid

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from loomtriage.contract.keys import CHRONICLE
from loomtriage.errors import UsageError
from loomtriage.lab.chronicle.parts import build_chronicle
from loomtriage.lab.chronicle.settings import read_settings
from loomtriage.lab.outbox.assembly import Signals
from loomtriage.lab.telemetry.jsonlog import EventLog
from loomtriage.lab.telemetry.meters import WORKER_METRICS, Meters, warm_worker
from tests.lab.pipeline import Bench, Lines, database, skip_without_server

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def dsn():
    with skip_without_server(), database() as found:
        yield found


@pytest.fixture
def bench(dsn):
    return Bench(dsn)


class Watched:
    """A chronicle worker and everything that it said."""

    def __init__(self, dsn, **env):
        settings = read_settings({"DATABASE_URL": dsn, "OUTBOX_WORKER_ID": "c1", **env})
        self.exporter, self.log = InMemorySpanExporter(), Lines()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        logger = logging.Logger("test.chronicle", logging.DEBUG)  # noqa: LOG001
        logger.addHandler(self.log)
        self.meters = Meters(WORKER_METRICS, bound={"projection": CHRONICLE})
        warm_worker(self.meters, ops=("upsert",))
        signals = Signals(provider=provider, meters=self.meters, log=EventLog(logger=logger))
        self.worker = build_chronicle(settings, signals=signals)

    def count(self, name, **labels):
        return self.meters.registry.get_sample_value(name, {"projection": CHRONICLE, **labels})


def event(bench, *, is_kept=True):
    """An outbox row, with its event unless that was lost; the event's id."""
    book, found = uuid.uuid4(), uuid.uuid4()
    if is_kept:
        bench.run("INSERT INTO books (id, title) VALUES (%s, 'loom')", book)
        bench.run(
            "INSERT INTO chronicle_events (id, event_type, book_id, payload, occurred_at)"
            """ VALUES (%s, 'block_updated', %s, '{"text": "warp  and"}', now())""",
            *(found, book),
        )
    bench.run(
        "INSERT INTO chronicle_outbox_events (id, entity_type, entity_id, op, event_version,"
        " replay_count) VALUES (%s, 'chronicle_event', %s, 'upsert', 0, 0)",
        *(uuid.uuid4(), found),
    )
    return found


def entries(bench):
    return bench.run("SELECT id, summary, projection_version FROM chronicle_entries")


def test_an_event_becomes_one_entry_with_the_version_of_the_rule(bench, dsn):
    """Version and summary stand on the row, the version on every span, and on no metric."""
    found, watched = event(bench), Watched(dsn, CHRONICLE_PROJECTION_VERSION="2")
    assert watched.worker.turn()
    assert entries(bench) == [
        {"id": found, "summary": "block updated: warp and", "projection_version": 2}
    ]
    spans = watched.exporter.get_finished_spans()
    assert {span.name for span in spans} == {
        "outbox.claim_batch",
        "projection.process_batch",
        "outbox.process",
    }
    assert {span.attributes["wordloom.projection_version"] for span in spans} == {"2"}
    assert {span.attributes["wordloom.projection"] for span in spans} == {CHRONICLE}
    assert watched.count("outbox_processed_total", op="upsert") == 1
    labels = {
        name for m in watched.meters.registry.collect() for s in m.samples for name in s.labels
    }
    assert "projection_version" not in labels


def test_an_event_told_twice_is_one_entry(bench, dsn):
    """A row delivered again rewrites the same entry, with the version that runs now."""
    found, first = event(bench), Watched(dsn)
    first.worker.turn()
    assert entries(bench) == [{"id": found, "summary": "block updated", "projection_version": 1}]
    bench.run("UPDATE chronicle_outbox_events SET status = 'pending', processed_at = NULL")
    Watched(dsn, OUTBOX_PROJECTION_VERSION="3").worker.turn()
    assert [entry["projection_version"] for entry in entries(bench)] == [3]


def test_a_lost_event_ends_its_row_for_good_and_stops_no_other(bench, dsn):
    """A row whose event is gone fails at once by reason; the row behind it is done."""
    event(bench, is_kept=False)
    event(bench)
    watched = Watched(dsn)
    watched.worker.turn()
    states = bench.run("SELECT status, error_reason FROM chronicle_outbox_events ORDER BY 1")
    assert [tuple(state.values()) for state in states] == [
        ("done", None),
        ("failed", "deterministic_exception"),
    ]
    labels = {"op": "upsert", "reason": "deterministic_exception"}
    assert watched.count("outbox_terminal_failed_total", **labels) == 1
    assert watched.count("outbox_retry_scheduled_total", **labels) is None
    (line,) = watched.log.of("outbox.row_failed")
    assert line["error"].startswith("missing_event")


def test_a_version_that_is_none_is_refused():
    """A wrong version is a usage error that names the variable."""
    with pytest.raises(UsageError, match="CHRONICLE_PROJECTION_VERSION"):
        read_settings({"DATABASE_URL": "postgresql://x@h/d", "CHRONICLE_PROJECTION_VERSION": "two"})
