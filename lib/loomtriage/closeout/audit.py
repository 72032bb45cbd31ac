"""Audit: who replayed which row, why, and what was it before? Added to, never changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources

from psycopg import sql

from loomtriage.closeout.target import Connection, connected
from loomtriage.errors import Refused

REPLAYER_ROLE = "loomtriage_replayer"
TABLE = "outbox_replay_audit"
_COLUMNS = (
    "plan_sha256",
    "row_id",
    "table_name",
    "batch",
    "is_canary",
    "replayed_at",
    "who",
    "why",
    "fixed",
    "db_role",
)


def audit_sql() -> str:
    """The migration that makes the audit table and the role that may write to it."""
    return resources.files("loomtriage.closeout").joinpath("audit.sql").read_text("utf-8")


def has_audit(dsn: str) -> bool:
    """Whether the database has the audit table.

    Raises:
        SourceUnavailable: it does not answer.
    """
    with connected(dsn, read_only=True) as connection:
        return _exists(connection)


def make_audit(owner_dsn: str, *, password: str) -> None:
    """Run the migration as the owner and give the role a password, as a lab needs it.

    Raises:
        SourceUnavailable: the database does not answer.
    """
    with connected(owner_dsn, read_only=False) as connection, connection.transaction():
        connection.execute(audit_sql().encode())
        connection.execute(
            sql.SQL("ALTER ROLE {role} PASSWORD {password}").format(
                role=sql.Identifier(REPLAYER_ROLE), password=sql.Literal(password)
            )
        )


def refuse_without_audit(connection: Connection) -> None:
    """Refuse a database that could not remember what was done to it.

    Raises:
        Refused: it has no audit table.
    """
    if not _exists(connection):
        raise Refused(
            f"The database has no table {TABLE}; what is replayed must be written down.",
            hint='Once, as its owner: loomtriage close-out sql | psql "$OWNER_DATABASE_URL".',
        )


def is_readable(connection: Connection) -> bool:
    """Whether there is an audit table and this role may read it."""
    found = connection.execute(
        "SELECT has_table_privilege(to_regclass(%s), 'SELECT')", (TABLE,)
    ).fetchone()
    return bool(found and found[0])


def already(connection: Connection, plan_sha256: str) -> frozenset[str]:
    """Ids of the rows that this plan has replayed, in this run or an earlier one."""
    found = connection.execute(
        "SELECT row_id::text FROM outbox_replay_audit WHERE plan_sha256 = %s", (plan_sha256,)
    )
    return frozenset(str(row_id) for (row_id,) in found)


def outcomes(connection: Connection, table: str, plan_sha256: str) -> Mapping[str, int]:
    """What became of the rows that this plan replayed: count by status, `gone` when deleted."""
    statement = sql.SQL(
        "SELECT coalesce(t.status, 'gone'), count(*) FROM outbox_replay_audit AS a"
        " LEFT JOIN {table} AS t ON t.id = a.row_id WHERE a.plan_sha256 = %s GROUP BY 1"
    ).format(table=sql.Identifier(table))
    return {str(s): int(str(n)) for s, n in connection.execute(statement, (plan_sha256,))}


def standing(
    connection: Connection, table: str, ids: Iterable[str]
) -> dict[str, tuple[str, str, str]]:
    """Status, stored reason and error of rows by id; what is not there was deleted."""
    statement = sql.SQL(
        "SELECT id::text, status, coalesce(error_reason, ''), coalesce(error, '')"
        " FROM {table} WHERE id = ANY(%s::uuid[])"
    ).format(table=sql.Identifier(table))
    return {
        str(row_id): (str(status), str(reason), str(error))
        for row_id, status, reason, error in connection.execute(statement, (list(ids),))
    }


def audit_lines(connection: Connection, plan_sha256: str) -> Iterator[str]:
    """The audit of one plan, one JSON object a line, in the order in which it was written."""
    names = ", ".join(f"'{name}', {name}" for name in _COLUMNS)
    statement = (
        f"SELECT jsonb_build_object({names}, 'before', before, 'after', after)"  # noqa: S608
        " FROM outbox_replay_audit WHERE plan_sha256 = %s ORDER BY replayed_at, row_id"
    )
    for (entry,) in connection.execute(statement.encode(), (plan_sha256,)):
        yield json.dumps(entry, sort_keys=True, ensure_ascii=True)


def _exists(connection: Connection) -> bool:
    found = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (TABLE,)).fetchone()
    return bool(found and found[0])
