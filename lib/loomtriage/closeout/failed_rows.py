"""Failed rows: which are there, in which state, and would an index find them sooner? Read only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString, NamedTuple

from psycopg import sql

from loomtriage.closeout.target import Connection
from loomtriage.contract.keys import CHRONICLE, OUTBOX_TABLES, canonical_projection
from loomtriage.errors import UsageError

MOST_READ = 200_000
LARGE_ROWS = 100_000
"""Below so many rows a whole table is read sooner than any index helps."""
MOST_PASSED = 1000
_FETCH = 2000

STATE: LiteralString = """t.attempts, t.replay_count,
    (extract(epoch FROM t.updated_at) * 1000000)::bigint,
    md5(coalesce(t.error_reason, '') || chr(1) || coalesce(t.error, ''))"""
"""What a row looked like; a plan holds it and a replay compares it."""

OVERTAKEN: LiteralString = """(t.op = 'delete' AND EXISTS (SELECT 1 FROM {table} AS later
    WHERE later.entity_type = t.entity_type AND later.entity_id = t.entity_id
      AND later.op <> 'delete' AND later.status IN ('processing', 'done')
      AND later.created_at > t.created_at))"""
"""A later event of the entity is done or under way: the delete would take a living document away.

Later by the time of its enqueuing: Wordloom's versions of deletes are off by the host's UTC offset.
"""

_FAILED: LiteralString = (
    "SELECT t.id::text, t.entity_type, t.op, coalesce(t.error_reason, ''), coalesce(t.error, ''),"
    " t.{failed_at}, {state}, {overtaken} FROM {table} AS t WHERE t.status = 'failed' {narrowed}"
    " ORDER BY t.event_version, t.created_at, t.id LIMIT {most}"
)


class FailedRow(NamedTuple):
    """One failed row, as it was read; times aware UTC, `updated_us` microseconds since 1970."""

    id: str
    entity_type: str
    op: str
    stored_reason: str
    error: str
    failed_at: datetime
    attempts: int
    replays: int
    updated_us: int
    error_md5: str
    overtaken: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which failed rows are meant; empty texts keep all.

    Attributes:
        projection: one projection, in full or by its short name.
        entity_type, op: as stored.
    """

    projection: str
    entity_type: str = ""
    op: str = ""

    @property
    def table(self) -> str:
        """The outbox table of the projection.

        Raises:
            UsageError: there is no such projection.
        """
        table = OUTBOX_TABLES.get(canonical_projection(self.projection))
        if table is None:
            known = ", ".join(OUTBOX_TABLES)
            raise UsageError(
                f"There is no projection {self.projection[:60]!r}.", hint=f"Choose one of {known}."
            )
        return table

    @property
    def is_dated(self) -> bool:
        """Whether its rows tell when they failed."""
        return canonical_projection(self.projection) != CHRONICLE


def failed_rows(connection: Connection, asked: Asked) -> Iterator[FailedRow]:
    """Failed rows in the order in which they are to be replayed, at most `MOST_READ`.

    They are read through a cursor on the server, so that memory does not grow with their number.
    """
    with connection.cursor(name="failed") as cursor:
        cursor.execute(_statement(asked), _values(asked))
        while found := cursor.fetchmany(_FETCH):
            yield from map(FailedRow._make, found)


def status_counts(connection: Connection, table: str) -> Mapping[str, int]:
    """Rows by status."""
    statement = sql.SQL("SELECT status, count(*) FROM {table} GROUP BY status ORDER BY status")
    found = connection.execute(statement.format(table=sql.Identifier(table)))
    return {str(status): int(str(count)) for status, count in found}


def passed(
    connection: Connection, asked: Asked, *, entity_type: str, op: str, since: datetime
) -> int:
    """Rows of that type and op that were done since then, counted up to `MOST_PASSED`."""
    statement = sql.SQL(
        "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE processed_at >= %s AND status = 'done'"
        " AND entity_type = %s AND op = %s LIMIT {most}) AS found"
    ).format(table=sql.Identifier(asked.table), most=sql.Literal(MOST_PASSED))
    return _count(connection, statement, (since, entity_type, op))


def last_failure(connection: Connection, asked: Asked) -> datetime | None:
    """When any row of the table last failed, also of those that were not read; aware UTC.

    Chronicle rows tell only when they were enqueued.
    """
    statement = sql.SQL("SELECT max({at}) FROM {table} WHERE status = 'failed'").format(
        at=sql.Identifier(_failed_at(asked)), table=sql.Identifier(asked.table)
    )
    found = connection.execute(statement).fetchone()
    return found[0] if found and isinstance(found[0], datetime) else None


def waiting(connection: Connection, asked: Asked, *, stored: str, within_s: float) -> int:
    """Rows that wait for a retry with that stored reason and failed again so lately."""
    statement = sql.SQL(
        "SELECT count(*) FROM {table} WHERE status = 'pending' AND error_reason = %s"
        " AND updated_at >= now() - make_interval(secs => %s)"
    ).format(table=sql.Identifier(asked.table))
    return _count(connection, statement, (stored, within_s))


def advice(connection: Connection, asked: Asked) -> str:
    """The one index that would find failed rows sooner, as SQL; empty where none is needed.

    Nothing is created: the statement is for whoever owns the database.
    """
    explained = connection.execute(
        sql.SQL("EXPLAIN (FORMAT JSON) ") + _statement(asked), _values(asked)
    ).fetchone()
    size = connection.execute(
        "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass(%s)",
        (asked.table,),
    ).fetchone()
    plan = explained[0] if explained else []
    reads_all = _reads_all(json.loads(plan) if isinstance(plan, str) else plan, asked.table)
    if not reads_all or not size or int(str(size[0])) < LARGE_ROWS:
        return ""
    return (
        f"CREATE INDEX CONCURRENTLY idx_{asked.table}_failed ON {asked.table}"
        " (event_version, created_at, id) WHERE status = 'failed';"
    )


def _reads_all(node: object, table: str) -> bool:
    """Whether a plan reads the outbox from end to end to find the failed rows."""
    if isinstance(node, list):
        return any(_reads_all(one, table) for one in node)
    if not isinstance(node, dict):
        return False
    is_scan = str(node.get("Node Type", "")).endswith("Seq Scan") and node.get("Alias") == "t"
    return is_scan or any(_reads_all(node.get(key), table) for key in ("Plan", "Plans"))


def _statement(asked: Asked) -> sql.Composed:
    names = [name for name in ("entity_type", "op") if getattr(asked, name)]
    table = sql.Identifier(asked.table)
    return sql.SQL(_FAILED).format(
        table=table,
        state=sql.SQL(STATE),
        overtaken=sql.SQL(OVERTAKEN).format(table=table),
        failed_at=sql.Identifier(_failed_at(asked)),
        narrowed=sql.Composed([_is(name) for name in names]),
        most=sql.Literal(MOST_READ),
    )


def _failed_at(asked: Asked) -> str:
    # The chronicle worker touches every failed row in each turn: only its age is the row's own.
    return "updated_at" if asked.is_dated else "created_at"


def _is(name: str) -> sql.Composed:
    return sql.SQL(" AND t.{name} = {value}").format(
        name=sql.Identifier(name), value=sql.Placeholder(name)
    )


def _values(asked: Asked) -> dict[str, str]:
    return {name: value for name in ("entity_type", "op") if (value := getattr(asked, name))}


def _count(connection: Connection, statement: sql.Composed, values: tuple[object, ...]) -> int:
    found = connection.execute(statement, values).fetchone()
    return int(str(found[0])) if found else 0
