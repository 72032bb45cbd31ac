"""Watch: do rows fail or pile up while a replay goes on, and what became of its own?"""

from __future__ import annotations

import time
from collections.abc import Mapping

from psycopg import sql

from loomtriage.closeout import audit
from loomtriage.closeout.batches import Warrant
from loomtriage.closeout.target import Connection

MOST_FAILED_AGAIN = 10
LOOK_EVERY_S = 1.0
POLL_S = 0.2
UNSETTLED = ("pending", "processing")


class Stop(Exception):
    """The replay must not go on; its text says why."""


class Watch:
    """The outbox as it was when a replay began, and looks at it from then on.

    A look takes longer the more rows there are: it takes a twentieth of the time at most.
    """

    def __init__(
        self,
        connection: Connection,
        warrant: Warrant,
        *,
        most_open: int,
        is_limited: bool,
        patience_s: float,
    ) -> None:
        """Count what is open and what failed now, in the whole table.

        Args:
            most_open: rows that may pile up before the replay waits.
            is_limited: whether its own rows count for that; no with the rate limit lifted.
            patience_s: how long it waits for them.
        """
        self._connection = connection
        self._table = warrant.table
        self._plan_sha256 = warrant.plan_sha256
        self._most_open = most_open
        self._is_limited = is_limited
        self._patience_s = patience_s
        self._next = 0.0
        self._open, self._failed = self._others(self.outcomes())

    def look(self) -> None:
        """When it is time again: stop when rows fail, wait while too many are under way.

        Raises:
            Stop: too many failed, or waiting did not help.
        """
        if time.monotonic() >= self._next:
            self.look_now()

    def look_now(self) -> None:
        """The same at once.

        Raises:
            Stop: as in `look`.
        """
        deadline = time.monotonic() + self._patience_s
        while True:
            begun = time.monotonic()
            mine = self.outcomes()
            is_open, failed = self._others(mine)
            self._next = time.monotonic() + _pause(begun, LOOK_EVERY_S)
            if mine.get("failed", 0) >= MOST_FAILED_AGAIN:
                raise Stop(f"{mine['failed']} of the replayed rows failed again")
            if failed - self._failed >= MOST_FAILED_AGAIN:
                raise Stop(f"{failed - self._failed} rows more failed since the replay began")
            piled = is_open - self._open + (_unsettled(mine) if self._is_limited else 0)
            if piled <= self._most_open:
                return
            if time.monotonic() > deadline:
                raise Stop(f"the worker does not keep up: {piled} rows more wait than at the start")
            time.sleep(_pause(begun, LOOK_EVERY_S))

    def settle(self, within_s: float) -> Mapping[str, int]:
        """What became of the replayed rows once none is open any more, or the time is over."""
        deadline = time.monotonic() + within_s
        while True:
            begun = time.monotonic()
            seen = self.outcomes()
            if not _unsettled(seen) or time.monotonic() > deadline:
                return seen
            time.sleep(_pause(begun, POLL_S))

    def outcomes(self) -> Mapping[str, int]:
        """The rows that this plan replayed, in this run or an earlier one: count by status."""
        return audit.outcomes(self._connection, self._table, self._plan_sha256)

    def _others(self, mine: Mapping[str, int]) -> tuple[int, int]:
        """Rows (open, failed) of the table beside those that this plan put back.

        Each row that it puts back leaves the failed ones; they are counted as if it had stayed,
        so that only what others add is a rise.
        """
        statement = sql.SQL(
            "SELECT count(*) FILTER (WHERE status <> 'failed'),"
            " count(*) FILTER (WHERE status = 'failed')"
            " FROM {table} WHERE status IN ('pending', 'processing', 'failed')"
        ).format(table=sql.Identifier(self._table))
        found = self._connection.execute(statement).fetchone() or (0, 0)
        left = sum(mine.values()) - mine.get("failed", 0)
        return int(str(found[0])) - _unsettled(mine), int(str(found[1])) + left


def _pause(begun: float, least_s: float) -> float:
    return max(least_s, 20 * (time.monotonic() - begun))


def _unsettled(seen: Mapping[str, int]) -> int:
    return sum(seen.get(status, 0) for status in UNSETTLED)
