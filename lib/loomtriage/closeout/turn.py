"""Turn: whose turn is it to replay on a database, one operator at a time?

The turn belongs to a session of the server and ends with it, whoever dies. A row in a table would
outlive a killed operator, and somebody would have to judge whether it still counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import psycopg

from loomtriage.closeout.target import Connection
from loomtriage.errors import Refused
from loomtriage.model.window import iso

KEY = ("loomtriage close-out", "replay")
PATIENCE_S = 5.0
"""The server needs a moment to see that a killed operator is gone."""
_POLL_S = 0.2
_TAKE = b"SELECT pg_try_advisory_lock(hashtext(%s), hashtext(%s))"
_LEAVE = b"SELECT pg_advisory_unlock(hashtext(%s), hashtext(%s))"
_SIGN = b"SELECT set_config('application_name', left(%s, 63), false)"
_HOLDER = b"""SELECT a.application_name, a.backend_start
FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()
    AND l.classid = hashtext(%s)::oid AND l.objid = hashtext(%s)::oid"""


@contextmanager
def turn(connection: Connection, who: str) -> Iterator[None]:
    """The turn to replay, for as long as the block or the session lasts.

    Raises:
        Refused: somebody else has it; says who, as far as the server tells.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not _is(connection, _TAKE):
        if time.monotonic() > deadline:
            raise Refused(
                f"Somebody else is replaying on this database{_holder(connection)}.",
                hint="Wait until that replay has ended.",
            )
        time.sleep(_POLL_S)
    try:
        connection.execute(_SIGN, (f"{KEY[0]} by {who}",))
        yield
    finally:
        # Without its session the turn is over anyway.
        with suppress(psycopg.Error):
            _is(connection, _LEAVE)


def _is(connection: Connection, statement: bytes) -> bool:
    found = connection.execute(statement, KEY).fetchone()
    return bool(found and found[0])


def _holder(connection: Connection) -> str:
    found = connection.execute(_HOLDER, KEY).fetchone()
    if not found or not isinstance(found[1], datetime):
        return ""
    return f": {found[0]}, connected since {iso(found[1])}"
