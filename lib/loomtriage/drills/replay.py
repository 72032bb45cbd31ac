"""Replay: how do rows that a drill ended for good get their second chance afterwards?"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from psycopg import sql

from loomtriage.contract.keys import OUTBOX_TABLES
from loomtriage.drills.database import owner_session

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState

_REPLAY = """UPDATE {table} SET status = 'pending', attempts = 0, next_retry_at = NULL,
    processed_at = NULL, error_reason = NULL, error = NULL, updated_at = now(),
    replay_count = replay_count + 1, last_replayed_at = now(), last_replayed_by = 'drill',
    last_replayed_reason = 'the fault was taken back'
WHERE status = 'failed' AND updated_at >= %(since)s"""


def replay_failed(lab: LabState, *, since: datetime) -> int:
    """Put back every row that failed for good since then (aware UTC); how many.

    What failed before the drill is none of its business and stays as it is.

    Raises:
        SourceUnavailable: the database does not answer.
    """
    count = 0
    with owner_session(lab) as session:
        for table in OUTBOX_TABLES.values():
            statement = sql.SQL(_REPLAY).format(table=sql.Identifier(table))
            count += session.execute(statement, {"since": since}).rowcount
    return count
