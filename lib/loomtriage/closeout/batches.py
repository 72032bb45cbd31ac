"""Batches: how some failed rows go back to pending, in one statement, with their audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from loomtriage.closeout.failed_rows import OVERTAKEN
from loomtriage.closeout.plan_file import PlannedRow
from loomtriage.closeout.target import Connection
from loomtriage.contract.keys import CHRONICLE, OUTBOX_TABLES
from loomtriage.contract.reasons import MOST_REPLAYS

_AS_PLANNED: LiteralString = """t.status = 'failed' AND t.attempts = p.attempts
    AND t.replay_count = p.replays AND t.replay_count < {most_replays}
    AND ({is_touched} OR (extract(epoch FROM t.updated_at) * 1000000)::bigint = p.updated_us)
    AND md5(coalesce(t.error_reason, '') || chr(1) || coalesce(t.error, '')) = p.error_md5
    AND NOT {overtaken}"""

_PLANNED: LiteralString = """planned AS (SELECT * FROM unnest(%(ids)s::uuid[],
    %(attempts)s::integer[], %(replays)s::integer[], %(updated)s::bigint[], %(errors)s::text[])
    AS p (id, attempts, replays, updated_us, error_md5))"""

# One statement is one transaction: whoever dies, a row and its audit are both written or neither.
_REPLAY: LiteralString = """WITH {planned}, chosen AS (
    SELECT t.* FROM {table} AS t JOIN planned AS p ON p.id = t.id WHERE {as_planned}
    FOR UPDATE OF t SKIP LOCKED),
audited AS (
    INSERT INTO outbox_replay_audit (plan_sha256, row_id, table_name, batch, is_canary, who, why,
        fixed, before, after)
    SELECT %(plan)s, c.id, {name}, %(batch)s, %(is_canary)s, %(who)s, %(why)s, %(fixed)s,
        jsonb_build_object('status', c.status, 'attempts', c.attempts,
            'replay_count', c.replay_count, 'error_reason', c.error_reason, 'error', c.error,
            'owner', c.owner, 'created_at', c.created_at, 'updated_at', c.updated_at,
            'last_replayed_at', c.last_replayed_at, 'last_replayed_by', c.last_replayed_by,
            'last_replayed_reason', c.last_replayed_reason),
        jsonb_build_object('status', 'pending', 'attempts', 0, 'replay_count', c.replay_count + 1)
    FROM chosen AS c ON CONFLICT (plan_sha256, row_id) DO NOTHING RETURNING row_id)
UPDATE {table} AS t SET status = 'pending', attempts = 0, owner = NULL, lease_until = NULL,
    processing_started_at = NULL, next_retry_at = NULL, error_reason = NULL, error = NULL,
    replay_count = t.replay_count + 1, last_replayed_at = now(),
    last_replayed_by = left(%(who)s, 120), last_replayed_reason = %(why)s, updated_at = now()
FROM audited WHERE t.id = audited.row_id RETURNING t.id::text"""

_COUNT: LiteralString = """WITH {planned}
SELECT count(*) FROM {table} AS t JOIN planned AS p ON p.id = t.id WHERE {as_planned}"""


_LEFT: LiteralString = """WITH {planned}
SELECT t.id::text, CASE WHEN t.status <> 'failed' THEN t.status || ' since the plan'
    WHEN {overtaken} THEN 'overtaken by a later event'
    WHEN {as_planned} THEN 'locked by somebody else' ELSE 'changed since the plan' END
FROM {table} AS t JOIN planned AS p ON p.id = t.id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warrant:
    """By whose word rows are replayed; all of it stands in the audit.

    Attributes:
        plan_sha256: digest of the plan.
        table: the outbox table.
        who, why: the person and the reason.
        fixed: what was repaired, empty where nothing had to be.
        is_late: whether it goes on after its plan's time: what went first then proves nothing now.
    """

    plan_sha256: str
    table: str
    who: str
    why: str
    fixed: str = ""
    is_late: bool = False


def replay_batch(
    connection: Connection,
    warrant: Warrant,
    rows: Sequence[PlannedRow],
    *,
    batch: int,
    is_canary: bool = False,
) -> frozenset[str]:
    """Put the rows that are as planned back to pending; ids of those that were.

    Rows that changed, are locked, or were replayed by this plan before are left alone.
    """
    values: dict[str, object] = {
        **_columns(rows),
        "plan": warrant.plan_sha256,
        "who": warrant.who,
        "why": warrant.why,
        "fixed": warrant.fixed,
        "batch": batch,
        "is_canary": is_canary,
    }
    found = connection.execute(_text(_REPLAY, warrant.table), values)
    return frozenset(str(row_id) for (row_id,) in found)


def count_as_planned(connection: Connection, table: str, rows: Sequence[PlannedRow]) -> int:
    """How many of the rows are still as planned, so that a replay would take them."""
    found = connection.execute(_text(_COUNT, table), _columns(rows)).fetchone()
    return int(str(found[0])) if found else 0


def why_left(connection: Connection, table: str, rows: Sequence[PlannedRow]) -> Mapping[str, str]:
    """Why each of these rows was not put back, by id."""
    found = connection.execute(_text(_LEFT, table), _columns(rows))
    told = {str(row_id): str(why) for row_id, why in found}
    return {row.id: told.get(row.id, "deleted since the plan") for row in rows}


def _columns(rows: Sequence[PlannedRow]) -> dict[str, object]:
    return {
        "ids": [row.id for row in rows],
        "attempts": [row.attempts for row in rows],
        "replays": [row.replays for row in rows],
        "updated": [row.updated_us for row in rows],
        "errors": [row.error_md5 for row in rows],
    }


def _text(statement: LiteralString, table: str) -> sql.Composed:
    identifier = sql.Identifier(table)
    overtaken = sql.SQL(OVERTAKEN).format(table=identifier)
    as_planned = sql.SQL(_AS_PLANNED).format(
        most_replays=sql.Literal(MOST_REPLAYS),
        is_touched=sql.Literal(table == OUTBOX_TABLES[CHRONICLE]),
        overtaken=overtaken,
    )
    return sql.SQL(statement).format(
        planned=sql.SQL(_PLANNED),
        as_planned=as_planned,
        overtaken=overtaken,
        table=identifier,
        name=sql.Literal(table),
    )
