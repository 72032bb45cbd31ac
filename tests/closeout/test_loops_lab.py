"""Silent loops of real workers: five that are broken on purpose, and one that is well."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import pandas as pd
import psycopg
import pytest
from psycopg.rows import dict_row

from loomtriage.analysis.retries.loops import silent_loops
from loomtriage.analysis.retries.tries import tries_of_lines
from loomtriage.contract.keys import SEARCH
from loomtriage.lab.outbox.claims import Claims
from loomtriage.model.frame import ROW_COLUMNS
from tests.lab.pipeline import Bench, always, answer
from tests.make import line, lines

pytestmark = pytest.mark.lab

QUICK = {"OUTBOX_BASE_BACKOFF_SECONDS": "0.004", "OUTBOX_MAX_BACKOFF_SECONDS": "0.02"}
STORM = always(429, "es_rejected_execution_exception")


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncounted(Claims):
    """A worker that forgets to store attempts."""

    def retry(self, row_id, *, attempts, delay_s, reason, error):
        return Claims.retry(self, row_id, attempts=0, delay_s=delay_s, reason=reason, error=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class WithoutTime(Claims):
    """A worker that schedules a retry and forgets when."""

    def retry(self, row_id, *, attempts, delay_s, reason, error):
        due = Claims.retry(
            self, row_id, attempts=attempts, delay_s=delay_s, reason=reason, error=error
        )
        with self.sessions.borrow() as connection:
            connection.execute(
                "UPDATE search_outbox_events SET next_retry_at = NULL WHERE id = %s", (row_id,)
            )
        return due


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortLease(Claims):
    """A worker whose leases are over before it looks at its rows."""

    def claim(self, limit):
        rows = Claims.claim(self, limit)
        with self.sessions.borrow() as connection:
            connection.execute(
                "UPDATE search_outbox_events SET lease_until = now() - '1 s'::interval"
            )
        return rows


def _kinds(bench, watched, *, retried=0.0):
    said = [
        line(one.get("message", ""), event=one.get("event", ""), fields=one)
        | {"ts": pd.Timestamp(one["ts"])}
        for one in watched.log.lines
    ]
    with psycopg.connect(bench.dsn, row_factory=dict_row) as session:
        found = session.execute("SELECT * FROM search_outbox_events").fetchall()
    held = pd.DataFrame(
        [{**r, "projection": SEARCH, "reason": r["error_reason"] or ""} for r in found],
        columns=list(ROW_COLUMNS),
    )
    table = lines(*said)
    loops = silent_loops(tries_of_lines(table), table, held, retried=retried)
    return {loop.kind for loop in loops}


def _turn(watched, is_enough, *, patience_s=30.0):
    """Let the worker work, and reclaim as its upkeep would, until enough has happened."""
    end = time.monotonic() + patience_s
    while not is_enough() and time.monotonic() < end:
        for _ in range(10):
            if not watched.worker.turn():
                time.sleep(0.005)
            watched.worker.upkeep.reclaim()


@pytest.fixture
def bench(dsn):
    """An empty outbox with three rows to do."""
    made = Bench(dsn)
    for _ in range(3):
        made.row()
    return made


@pytest.mark.parametrize(
    ("claims", "env", "kind"),
    [
        (Claims, {"OUTBOX_MAX_ATTEMPTS": "3"}, "capped"),
        (ShortLease, {}, "lease_cycles"),
        (WithoutTime, {"OUTBOX_MAX_ATTEMPTS": "1000"}, "no_due_time"),
        (Uncounted, {}, "uncounted"),
    ],
)
def test_a_broken_worker_is_found_and_named(bench, monkeypatch, claims, env, kind):
    """Whatever it hides, one sign remains, and it is that of its own loop."""
    monkeypatch.setattr("loomtriage.lab.outbox.assembly.Claims", claims)
    watched = bench.worker(STORM, **QUICK, **env)
    _turn(watched, lambda: _kinds(bench, watched))
    _turn(watched, lambda: False, patience_s=0.3)  # no second kind follows
    assert _kinds(bench, watched) == {kind}


def test_a_worker_that_drops_its_claims_is_found_and_named(bench):
    """It claims, forgets, and claims again; no line ever tells of a row."""
    watched = bench.worker(STORM, **QUICK)
    claims = watched.worker.desk.claims

    def forget(batch):
        claims.release([row.id for row in batch.rows])

    watched.worker = replace(watched.worker, process=forget)
    _turn(watched, lambda: _kinds(bench, watched))
    assert _kinds(bench, watched) == {"claimed_again"}


def test_a_worker_that_backs_off_in_a_storm_is_left_in_peace(bench):
    """Elasticsearch rejects the first dozen writes, then recovers: rows rise, wait and are done."""
    asked = []

    def script(_request):
        asked.append(1)
        return STORM(_request) if len(asked) <= 12 else answer(201)

    watched = bench.worker(script, **QUICK)
    _turn(watched, lambda: {row["status"] for row in Bench.rows_of(bench.dsn)} == {"done"})
    assert len(watched.log.of("outbox.row_retry")) == 12
    assert {row["status"] for row in Bench.rows_of(bench.dsn)} == {"done"}
    assert _kinds(bench, watched, retried=12) == set()
