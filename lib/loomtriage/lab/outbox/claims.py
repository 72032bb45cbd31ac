"""Claims: every statement by which a worker takes outbox rows and gives them back.

All times are the database's clock. Every acknowledgement is guarded: it writes only while the
row is still `processing`, owned by this worker, and its claim lease lies in the future.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import LiteralString
from uuid import UUID

from psycopg import sql
from psycopg.rows import class_row

from loomtriage.lab.db_sessions import Sessions

_CLAIMABLE = """processed_at IS NULL AND status = 'pending'
    AND (next_retry_at IS NULL OR next_retry_at <= now())"""

# Only the oldest unfinished row of an entity may be claimed: a delete that waits for its retry
# must not be overtaken by the upsert that follows it.
_HEAD_OF_LINE = """NOT EXISTS (
    SELECT 1 FROM {table} AS earlier
    WHERE earlier.entity_type = e.entity_type AND earlier.entity_id = e.entity_id
      AND earlier.status IN ('pending', 'processing')
      AND (earlier.event_version, earlier.created_at, earlier.id)
        < (e.event_version, e.created_at, e.id))"""

_STUCK = """status = 'processing' AND processed_at IS NULL
    AND (coalesce(lease_until, '-infinity') < now()
         OR processing_started_at < now() - make_interval(secs => %(max_processing_s)s))"""

_MINE = "id = %(id)s AND owner = %(owner)s AND status = 'processing' AND lease_until > now()"

_UNOWNED = "owner = NULL, lease_until = NULL, processing_started_at = NULL, updated_at = now()"

_CLAIM = """WITH next AS (
    SELECT e.id FROM {table} AS e WHERE {claimable} AND {head_of_line}
    ORDER BY e.event_version, e.created_at, e.id LIMIT %(limit)s FOR UPDATE OF e SKIP LOCKED)
UPDATE {table} AS t SET status = 'processing', owner = %(owner)s,
    lease_until = now() + make_interval(secs => %(lease_s)s), processing_started_at = now(),
    updated_at = now(), error_reason = NULL, error = NULL
FROM next WHERE t.id = next.id
RETURNING t.id, t.entity_type, t.entity_id, t.op, t.event_version, t.attempts, t.created_at,
    t.traceparent, t.tracestate"""

# Wordloom's experiment: rows are chosen in one statement and taken in another, so that two
# workers that do this take the same ones.
_CHOOSE = """SELECT e.id FROM {table} AS e WHERE {claimable} AND {head_of_line}
ORDER BY e.event_version, e.created_at, e.id LIMIT %(limit)s"""
_GRAB = """UPDATE {table} AS t SET status = 'processing', owner = %(owner)s,
    lease_until = now() + make_interval(secs => %(lease_s)s), processing_started_at = now(),
    updated_at = now(), error_reason = NULL, error = NULL
WHERE t.id = ANY(%(ids)s) AND t.processed_at IS NULL
RETURNING t.id, t.entity_type, t.entity_id, t.op, t.event_version, t.attempts, t.created_at,
    t.traceparent, t.tracestate"""

_WAITING = "SELECT count(*) FROM {table} AS e WHERE {claimable} AND {head_of_line}"

_STANDING = """SELECT status = 'processing' AND owner = %(owner)s, lease_until > now()
FROM {table} WHERE id = %(id)s"""

_OVERTAKEN = """SELECT EXISTS (SELECT 1 FROM {table} WHERE entity_type = %(entity_type)s
    AND entity_id = %(entity_id)s AND op = 'delete' AND event_version > %(event_version)s)"""

_DONE = """UPDATE {table} SET status = 'done', processed_at = now(), next_retry_at = NULL,
    error_reason = NULL, error = NULL, {unowned} WHERE {mine}"""

_RETRY = """UPDATE {table} SET status = 'pending', attempts = %(attempts)s,
    next_retry_at = now() + make_interval(secs => %(delay_s)s),
    error_reason = %(reason)s, error = %(error)s, {unowned} WHERE {mine}
RETURNING next_retry_at"""

_FAILED = """UPDATE {table} SET status = 'failed', attempts = %(attempts)s, next_retry_at = NULL,
    error_reason = %(reason)s, error = %(error)s, {unowned} WHERE {mine}"""

_RELEASE = """UPDATE {table} SET status = 'pending', next_retry_at = NULL, error_reason = NULL,
    error = NULL, {unowned}
WHERE id = ANY(%(ids)s) AND owner = %(owner)s AND status = 'processing'"""

# A lapsed lease is not renewed: by then the row may be anybody's.
_RENEW = """WITH mine AS (SELECT id FROM {table}
    WHERE id = ANY(%(ids)s) AND owner = %(owner)s AND status = 'processing'
      AND lease_until > now() FOR UPDATE SKIP LOCKED)
UPDATE {table} AS t SET lease_until = now() + make_interval(secs => %(lease_s)s)
FROM mine WHERE t.id = mine.id"""

_RECLAIM = """WITH stuck AS (SELECT id, owner FROM {table} WHERE {stuck}
    ORDER BY event_version LIMIT 500 FOR UPDATE SKIP LOCKED)
UPDATE {table} AS t SET status = 'pending', {unowned}
FROM stuck WHERE t.id = stuck.id RETURNING t.id, stuck.owner AS previous_owner"""

_BACKLOG = """SELECT
    count(*) FILTER (WHERE status IN ('pending', 'processing')) AS lag,
    greatest(0, coalesce(extract(epoch FROM now() - min(created_at)
        FILTER (WHERE status IN ('pending', 'processing'))), 0))::float8 AS oldest_age_s,
    count(*) FILTER (WHERE status = 'processing') AS inflight,
    count(*) FILTER (WHERE {stuck}) AS stuck,
    count(*) FILTER (WHERE status = 'failed') AS dead_letter
FROM {table} WHERE processed_at IS NULL"""


class Standing(StrEnum):
    """What a claimed row is to its claimer now."""

    MINE = "mine"
    LAPSED = "lapsed"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One claimed outbox row; `attempts` counts the failed ones before this try."""

    id: UUID
    entity_type: str
    entity_id: UUID
    op: str
    event_version: int
    attempts: int
    created_at: datetime
    traceparent: str | None
    tracestate: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclaimed:
    """One row that was stuck, and who held it."""

    id: UUID
    previous_owner: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The outbox at one moment; rows, and seconds for the age. Terminal rows count apart."""

    lag: int
    oldest_age_s: float
    inflight: int
    stuck: int
    dead_letter: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """One worker's claims on one outbox table.

    Attributes:
        sessions: where to run statements.
        table: the outbox table.
        owner: this worker's id.
        lease_s: claim lease.
        max_processing_s: a claim older than this is stuck, renewed or not.
    """

    sessions: Sessions
    table: str
    owner: str
    lease_s: float
    max_processing_s: float

    def claim(self, limit: int) -> list[OutboxRow]:
        """Take up to `limit` rows, oldest event version first, past rows that others hold."""
        return self._rows(_CLAIM, limit=limit)

    def claim_broken(self, limit: int, *, pause: Callable[[], object]) -> list[OutboxRow]:
        """Take rows without a lock, pausing between choosing and taking: an experiment."""
        with self.sessions.borrow() as connection:
            chosen = connection.execute(self._text(_CHOOSE), self._with(limit=limit)).fetchall()
        pause()
        return self._rows(_GRAB, ids=[row_id for (row_id,) in chosen]) if chosen else []

    def _rows(self, statement: LiteralString, **values: object) -> list[OutboxRow]:
        with (
            self.sessions.borrow() as connection,
            connection.cursor(row_factory=class_row(OutboxRow)) as cursor,
        ):
            rows = cursor.execute(self._text(statement), self._with(**values)).fetchall()
        return sorted(rows, key=lambda row: (row.event_version, row.created_at, row.id))

    def waiting(self) -> int:
        """How many rows could be claimed now if nobody locked them."""
        return int(str(self._first(_WAITING)[0]))

    def standing(self, row_id: UUID) -> Standing:
        """What a row is to this worker now."""
        found = self._first(_STANDING, id=row_id)
        if not found or not found[0]:
            return Standing.TAKEN
        return Standing.MINE if found[1] else Standing.LAPSED

    def is_overtaken(self, row: OutboxRow) -> bool:
        """Whether a later row deletes the same entity, so that this one has nothing left to do."""
        found = self._first(
            _OVERTAKEN,
            entity_type=row.entity_type,
            entity_id=row.entity_id,
            event_version=row.event_version,
        )
        return bool(found and found[0])

    def done(self, row_id: UUID) -> bool:
        """Acknowledge a row; False when it is no longer this worker's."""
        return self._count(_DONE, id=row_id) > 0

    def retry(
        self, row_id: UUID, *, attempts: int, delay_s: float, reason: str, error: str
    ) -> datetime | None:
        """Put a row back for later; when (aware UTC), or None when it is no longer ours."""
        found = self._first(
            _RETRY, id=row_id, attempts=attempts, delay_s=delay_s, reason=reason, error=error
        )
        when = found[0] if found else None
        return when if isinstance(when, datetime) else None

    def fail(self, row_id: UUID, *, attempts: int, reason: str, error: str) -> bool:
        """End a row for good; False when it is no longer this worker's."""
        return self._count(_FAILED, id=row_id, attempts=attempts, reason=reason, error=error) > 0

    def release(self, ids: Sequence[UUID]) -> int:
        """Give claimed rows back untouched, as at shutdown; how many."""
        return self._count(_RELEASE, ids=list(ids)) if ids else 0

    def renew(self, ids: Sequence[UUID]) -> int:
        """Extend the lease of rows still held; how many."""
        return self._count(_RENEW, ids=list(ids)) if ids else 0

    def reclaim(self) -> list[Reclaimed]:
        """Return stuck rows of any owner to pending."""
        with (
            self.sessions.borrow() as connection,
            connection.cursor(row_factory=class_row(Reclaimed)) as cursor,
        ):
            return cursor.execute(self._text(_RECLAIM), self._with()).fetchall()

    def backlog(self) -> Backlog:
        """The gauges' values now."""
        with (
            self.sessions.borrow() as connection,
            connection.cursor(row_factory=class_row(Backlog)) as cursor,
        ):
            found = cursor.execute(self._text(_BACKLOG), self._with()).fetchone()
        if found is None:
            raise LookupError("an aggregate without GROUP BY always has one row")
        return found

    def _text(self, statement: LiteralString) -> sql.Composed:
        table = sql.Identifier(self.table)
        return sql.SQL(statement).format(
            table=table,
            claimable=sql.SQL(_CLAIMABLE),
            head_of_line=sql.SQL(_HEAD_OF_LINE).format(table=table),
            stuck=sql.SQL(_STUCK),
            mine=sql.SQL(_MINE),
            unowned=sql.SQL(_UNOWNED),
        )

    def _with(self, **values: object) -> dict[str, object]:
        return {
            "owner": self.owner,
            "lease_s": self.lease_s,
            "max_processing_s": self.max_processing_s,
            **values,
        }

    def _first(self, statement: LiteralString, **values: object) -> tuple[object, ...]:
        with self.sessions.borrow() as connection:
            found = connection.execute(self._text(statement), self._with(**values)).fetchone()
        return found or ()

    def _count(self, statement: LiteralString, **values: object) -> int:
        with self.sessions.borrow() as connection:
            return connection.execute(self._text(statement), self._with(**values)).rowcount
