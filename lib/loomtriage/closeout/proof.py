"""Proof: which kinds of failure were replayed and then done, so that their cause is gone?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import LiteralString, NamedTuple

from psycopg import sql

from loomtriage.closeout import audit
from loomtriage.closeout.target import Connection

LONGEST_ERROR = 400
"""Characters of a stored error that tell its kind."""
MOST_KINDS = 5000

_DIGITS, _ALIKE = "123456789", "000000000"
_SAME = str.maketrans(_DIGITS, _ALIKE)

_PROVEN: LiteralString = """SELECT t.entity_type, t.op, coalesce(a.before ->> 'error_reason', ''),
    translate(left(coalesce(a.before ->> 'error', ''), {longest}), {digits}, {alike}),
    max(a.replayed_at)
FROM outbox_replay_audit AS a JOIN {table} AS t ON t.id = a.row_id
WHERE a.table_name = {name} AND a.replayed_at >= %s AND t.status = 'done'
GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC LIMIT {most}"""


class Kind(NamedTuple):
    """What failed rows must share, so that one that was done speaks for the others."""

    entity_type: str
    op: str
    stored_reason: str
    template: str


def digits_alike(error: str) -> str:
    """The part of an error that tells its kind, with every digit the same."""
    return error[:LONGEST_ERROR].translate(_SAME)


def proofs(
    connection: Connection, table: str, *, since: datetime, template: Callable[[str], str]
) -> Mapping[Kind, datetime]:
    """When a row of each kind was last replayed, of those that are done now; aware UTC.

    What a row failed for before it was replayed stands in the audit alone. Where there is none,
    or this role may not read it, nothing is proven.

    Args:
        since: replays before it prove nothing.
        template: masks ids and numbers of an error text.
    """
    if not audit.is_readable(connection):
        return {}
    statement = sql.SQL(_PROVEN).format(
        longest=sql.Literal(LONGEST_ERROR),
        digits=sql.Literal(_DIGITS),
        alike=sql.Literal(_ALIKE),
        table=sql.Identifier(table),
        name=sql.Literal(table),
        most=sql.Literal(MOST_KINDS),
    )
    found: dict[Kind, datetime] = {}
    for entity_type, op, reason, error, at in connection.execute(statement, (since,)):
        kind = Kind(str(entity_type), str(op), str(reason), template(str(error)))
        if isinstance(at, datetime):
            found[kind] = max(at, found.get(kind, at))
    return found
