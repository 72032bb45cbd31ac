"""The worker in trouble: lost claims, locked rows, stuck rows, broken turns, shutdown."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass

import psycopg
import pytest
from opentelemetry.trace import StatusCode

from loomtriage.errors import Refused
from loomtriage.lab.db_sessions import Sessions, guard_environment
from loomtriage.lab.outbox.claims import Claims
from tests.lab.pipeline import Bench, always, answer, database, skip_without_server
from tests.lab.services import until

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def dsn():
    with skip_without_server(), database() as found:
        yield found


@pytest.fixture
def bench(dsn):
    return Bench(dsn)


@pytest.fixture
def impatient(monkeypatch):
    """No statement of a worker waits long for a lock; its leases stay long."""
    monkeypatch.setattr("loomtriage.lab.outbox.assembly.MAX_LOCK_WAIT_S", 0.3)


def _meddle(bench, change):
    """An Elasticsearch during whose answer somebody changes the claimed rows."""

    def script(_request):
        bench.run(f"UPDATE search_outbox_events SET {change} WHERE status = 'processing'")
        return answer(201)

    return script


@pytest.mark.parametrize(
    ("change", "reason", "mismatches"),
    [
        ("owner = 'w2'", "db_contention", 1),
        ("status = 'pending', owner = NULL", "db_contention", 1),
        ("lease_until = now() - interval '1 s'", "lease_expired", 0),
    ],
)
def test_lost_row_is_counted_by_nobody_but_the_mismatch(bench, change, reason, mismatches):
    """When the claim is gone at the time of writing, neither success nor failure is counted."""
    bench.row()
    watched = bench.worker(_meddle(bench, change))
    assert watched.worker.turn()
    (line,) = watched.log.of("outbox.row_lost")
    assert (line["reason"], line["result"]) == (reason, "retry")
    assert watched.count("outbox_processed_total", op="upsert") == 0
    assert watched.count("outbox_failed_total", op="upsert", reason=reason) == 0
    assert watched.count("outbox_owner_mismatch_skips_total") == mismatches
    (span,) = watched.spans("outbox.process")
    assert span.status.status_code is StatusCode.ERROR


def test_row_taken_before_its_turn_is_not_written(bench):
    """A row that another worker took meanwhile causes no request at all."""
    for number in range(2):
        bench.row(event_version=number)
    requests = []

    def script(request):
        requests.append(request)
        return _meddle(bench, "owner = 'w2'")(request)

    bench.worker(script).worker.turn()
    assert len(requests) == 1


def test_locked_rows_are_not_waited_for_and_not_hidden(bench):
    """Claims pass over locked rows; when that leaves nothing, the worker says who is to blame."""
    bench.row()
    watched = bench.worker(always(201))
    with psycopg.connect(bench.dsn) as holder:
        holder.execute("SELECT 1 FROM search_outbox_events FOR UPDATE")
        deadline = time.monotonic() + 20
        while not watched.log.of("outbox.claim_starved") and time.monotonic() < deadline:
            assert not watched.worker.turn()
    (line, *_) = watched.log.of("outbox.claim_starved")
    assert line["reason"] == "db_contention"
    assert watched.count("outbox_db_contention_total", reason="db_contention") >= 1
    (span, *_) = watched.spans("outbox.claim_batch")
    assert (span.attributes["claimed"], span.attributes["reason"]) == (0, "db_contention")
    assert watched.worker.turn()


@pytest.mark.usefixtures("impatient")
def test_table_lock_refuses_the_claim(bench):
    """A claim that gets no lock in time is refused, counted, and does not end the worker."""
    bench.row()
    watched = bench.worker(always(201))
    with psycopg.connect(bench.dsn) as holder:
        holder.execute("LOCK TABLE search_outbox_events IN EXCLUSIVE MODE")
        assert not watched.worker.turn()
    (line,) = watched.log.of("outbox.claim_refused")
    assert "LockNotAvailable" in line["error"]
    assert watched.worker.turn()


@pytest.mark.usefixtures("impatient")
def test_locked_acknowledgement_is_contention_not_success(bench):
    """A row that is locked when it should be acknowledged is lost to reclaim, and counted so."""
    row_id = bench.row()
    holder = psycopg.connect(bench.dsn)

    def script(_request):
        holder.execute("SELECT 1 FROM search_outbox_events FOR UPDATE")
        return answer(201)

    watched = bench.worker(script)
    watched.worker.turn()
    holder.close()
    assert bench.state(row_id)["status"] == "processing"
    assert watched.count("outbox_db_contention_total", reason="db_contention") == 1
    assert watched.count("outbox_processed_total", op="upsert") == 0
    assert watched.log.of("outbox.row_lost")[0]["reason"] == "db_contention"


def test_broken_turn_is_survived(bench):
    """A database error in the middle of a batch is logged, and the loop goes on."""
    row_id = bench.row()
    watched = bench.worker(always(201), OUTBOX_LEASE_SECONDS="2", OUTBOX_POLL_INTERVAL_MS="20")
    worker = watched.worker
    bench.run("ALTER TABLE search_index RENAME TO hidden")
    bench.run("ALTER TABLE search_outbox_events RENAME COLUMN error TO error_x")
    loop = threading.Thread(target=worker.run)
    loop.start()
    try:
        until(lambda: watched.log.of("outbox.loop_error"), "the error")
        assert worker.desk.held.ids() == []
    finally:
        bench.run("ALTER TABLE search_outbox_events RENAME COLUMN error_x TO error")
        bench.run("ALTER TABLE hidden RENAME TO search_index")
    until(lambda: worker.upkeep.reclaim() or bench.state(row_id)["status"] == "done", "the row")
    worker.runtime.ask_to_stop("test")
    loop.join()
    assert "UndefinedColumn" in watched.log.of("outbox.loop_error")[0]["error"]


def test_cut_connections_cost_one_turn(bench):
    """When the server ends the worker's sessions, the next turn but one works again."""
    watched = bench.worker(always(201))
    watched.worker.turn()
    watched.worker.upkeep.refresh()
    bench.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'w1'"
    )
    bench.row()
    with pytest.raises(psycopg.OperationalError):
        watched.worker.turn()
    assert watched.worker.turn()


def test_broken_claims_contend(bench, monkeypatch):
    """Two workers that claim without a lock take the same row; only one of them counts it."""
    both = threading.Barrier(2, timeout=60)

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Together(Claims):
        """Both choose before either takes, and both take before either works."""

        def claim_broken(self, limit, *, pause):
            rows = Claims.claim_broken(self, limit, pause=lambda: (pause(), both.wait()))
            both.wait()
            return rows

    monkeypatch.setattr("loomtriage.lab.outbox.assembly.Claims", Together)
    bench.row()
    broken = {
        "OUTBOX_EXPERIMENT_BREAK_CLAIM": "1",
        "OUTBOX_EXPERIMENT_BREAK_CLAIM_SLEEP_SECONDS": "0.01",
    }
    pair = [bench.worker(always(201), OUTBOX_WORKER_ID=name, **broken) for name in ("a", "b")]
    loops = [threading.Thread(target=watched.worker.turn) for watched in pair]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    assert sum(w.count("outbox_owner_mismatch_skips_total") for w in pair) == 1
    assert sum(w.count("outbox_processed_total", op="upsert") for w in pair) == 1
    modes = {w.spans("outbox.claim_batch")[0].attributes["claim_mode"] for w in pair}
    assert modes == {"non_atomic"}


def test_shutdown_gives_back_what_was_not_begun(bench):
    """Rows claimed but not begun return to pending at once, without an attempt."""
    rows = [bench.row(event_version=number) for number in range(3)]
    workers = []

    def stop(_request):
        workers[0].runtime.ask_to_stop("SIGTERM")
        return answer(201)

    workers.append(bench.worker(stop).worker)
    workers[0].turn()
    states = [bench.state(row_id) for row_id in rows]
    assert [row["status"] for row in states] == ["done", "pending", "pending"]
    assert [row["attempts"] for row in states] == [0, 0, 0]
    assert states[1]["owner"] is None


def test_marker_of_another_environment_refuses_the_worker(bench):
    """The sentinel must say what WORDLOOM_ENV asks for; a database without one is refused."""
    sessions = Sessions(bench.dsn, name="guard")
    assert guard_environment(sessions, wanted="") == "sandbox"
    with pytest.raises(Refused, match="marked sandbox"):
        guard_environment(sessions, wanted="dev")
    bench.run("ALTER TABLE environment_sentinel RENAME TO hidden")
    try:
        with pytest.raises(Refused, match="as nothing"):
            guard_environment(sessions, wanted="sandbox")
    finally:
        bench.run("ALTER TABLE hidden RENAME TO environment_sentinel")
        sessions.close()


def test_attempts_are_conserved(bench):
    """Per reason, failed attempts are exactly the retried plus the terminal ones."""
    for number in range(30):
        bench.row(entity_id=uuid.UUID(int=number))
    statuses = iter([201, 429, 400, 503, 404, 201] * 5)
    watched = bench.worker(lambda _request: answer(next(statuses), "t"))
    watched.turns()
    samples = [s for m in watched.meters.registry.collect() for s in m.samples]
    totals = dict.fromkeys(("failed", "retry_scheduled", "terminal_failed", "processed"), 0.0)
    for sample in samples:
        for name in totals:
            totals[name] += sample.value if sample.name == f"outbox_{name}_total" else 0.0
    assert totals["failed"] == totals["retry_scheduled"] + totals["terminal_failed"] == 20
    assert totals["processed"] == 10
