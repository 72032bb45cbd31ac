"""Beside the loop: gauges, reclaim, lease renewal, pings."""

from __future__ import annotations

import math

import pytest

from loomtriage.lab.outbox.runtime import WorkerState
from loomtriage.lab.outbox.upkeep import gauge_values
from tests.lab.pipeline import Bench, always, database, skip_without_server

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def dsn():
    with skip_without_server(), database() as found:
        yield found


@pytest.fixture
def bench(dsn):
    return Bench(dsn)


STUCK = {"status": "processing", "owner": "gone"}


def test_stuck_rows_show_before_they_are_reclaimed(bench):
    """The gauge holds the stuck rows when reclaim names them with their previous owner."""
    row_id = bench.row(**STUCK, lease_until="2020-01-01Z", processing_started_at="2020-01-01Z")
    watched = bench.worker(always(201))
    watched.worker.upkeep.refresh()
    (line,) = watched.log.of("outbox.reclaimed")
    assert watched.count("outbox_stuck_processing_events") == 1
    assert watched.count("outbox_reclaimed_total") == 1
    assert line["outbox_event_ids"] == [str(row_id)]
    assert line["previous_owner"] == "gone"
    row = bench.state(row_id)
    assert (row["status"], row["owner"], row["attempts"]) == ("pending", None, 0)


def test_held_rows_are_not_stuck(bench):
    """A claim whose lease is renewed stays, and a lapsed one is not revived."""
    held, lapsed = bench.row(), bench.row()
    watched = bench.worker(always(201), OUTBOX_LEASE_SECONDS="60")
    batch = watched.worker.taker.take()
    assert batch is not None
    past = "UPDATE search_outbox_events SET lease_until = now() - interval '1 s' WHERE id = %s"
    bench.run(past, lapsed)
    soon = "UPDATE search_outbox_events SET lease_until = now() + interval '5 s' WHERE id = %s"
    bench.run(soon, held)
    watched.worker.upkeep.renew()
    watched.worker.upkeep.reclaim()
    assert bench.state(held)["status"] == "processing"
    assert (bench.state(held)["lease_until"] - bench.state(held)["updated_at"]).total_seconds() > 30
    assert bench.state(lapsed)["status"] == "pending"


def test_terminal_rows_do_not_count_as_lag(bench):
    """Failed rows stand on a gauge of their own and leave lag and age alone."""
    bench.row(status="failed", created_at="2020-01-01Z")
    watched = bench.worker(always(201))
    watched.worker.upkeep.refresh()
    assert watched.count("outbox_lag_events") == 0
    assert watched.count("outbox_oldest_age_seconds") == 0
    assert watched.count("outbox_dead_letter_events") == 1


def test_unknown_backlog_is_not_zero():
    """When the database does not answer, the gauges are not a number."""
    assert all(math.isnan(value) for value in gauge_values(None).values())


def test_silent_database_drains_the_worker_until_it_answers(bench):
    """After some failed pings nothing is claimed and /readyz says so; the next answer ends it."""
    bench.row()
    watched = bench.worker(always(201))
    runtime = watched.worker.runtime
    for _ in range(3):
        runtime.pinged("OperationalError: gone")
    assert runtime.state is WorkerState.DRAINING
    assert (runtime.readyz().status, runtime.readyz().body["reason"]) == (503, "draining")
    assert not watched.worker.turn()
    watched.worker.upkeep.ping()
    assert runtime.readyz().status == 200
    assert watched.worker.turn()
