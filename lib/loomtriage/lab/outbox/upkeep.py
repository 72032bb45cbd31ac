"""Upkeep: what a worker does beside its loop: gauges, reclaim, lease renewal, database ping.

Each runs in a thread of its own, so that a slow batch neither freezes the gauges nor loses leases.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field

from loomtriage.lab.outbox.batch import Held
from loomtriage.lab.outbox.claims import Backlog, Claims
from loomtriage.lab.outbox.runtime import Runtime
from loomtriage.lab.telemetry.jsonlog import EventLog, one_line
from loomtriage.lab.telemetry.meters import Meters

GAUGE_INTERVAL_S = 1.0


def gauge_values(backlog: Backlog | None) -> dict[str, float]:
    """Gauge ids and their values; None means unknown, which is not a number, never zero."""
    if backlog is None:
        return dict.fromkeys(("lag", "oldest_age", "inflight", "stuck", "dead_letter"), math.nan)
    return {
        "lag": backlog.lag,
        "oldest_age": round(backlog.oldest_age_s, 3),
        "inflight": backlog.inflight,
        "stuck": backlog.stuck,
        "dead_letter": backlog.dead_letter,
    }


@dataclass(slots=True, kw_only=True)
class Upkeep:
    """The side jobs of one worker.

    Attributes:
        reclaim_interval_s: least time between two reclaims.
    """

    claims: Claims
    held: Held
    meters: Meters
    runtime: Runtime
    log: EventLog
    reclaim_interval_s: float
    _reclaimed_at: float = field(default=-math.inf, init=False)

    def refresh(self) -> None:
        """Set the gauges, then reclaim when it is due.

        In this order, so that stuck rows stand in one sample at least before they are gone.
        """
        try:
            values = gauge_values(self.claims.backlog())
        except Exception:
            self._put(gauge_values(None))
            raise
        self._put(values)
        if time.monotonic() - self._reclaimed_at >= self.reclaim_interval_s:
            self._reclaimed_at = time.monotonic()
            self.reclaim()

    def _put(self, values: dict[str, float]) -> None:
        for gauge, value in values.items():
            self.meters.put(gauge, value)

    def reclaim(self) -> None:
        """Return stuck rows to pending and name them with their previous owners."""
        rows = self.claims.reclaim()
        if not rows:
            return
        self.meters.add("reclaimed", len(rows))
        owners = sorted({row.previous_owner or "" for row in rows})
        self.log.emit(
            logging.WARNING,
            "outbox.reclaimed",
            reason="lease_expired",
            count=len(rows),
            outbox_event_ids=[str(row.id) for row in rows],
            previous_owners=owners,
            previous_owner=owners[0] if len(owners) == 1 else "mixed",
        )

    def renew(self) -> None:
        """Extend the leases of the rows that are being worked on."""
        self.claims.renew(self.held.ids())

    def ping(self) -> None:
        """Ask the database for a sign of life and tell the runtime."""
        was = self.runtime.state
        try:
            with self.claims.sessions.borrow() as connection:
                connection.execute("SET LOCAL statement_timeout = 1000; SELECT 1")
        except Exception as error:  # noqa: BLE001  the error is the ping's result
            self.runtime.pinged(one_line(error))
        else:
            self.runtime.pinged("")
        if self.runtime.state is not was:
            self.log.emit(
                logging.WARNING, "worker.state", state=self.runtime.state, previous_state=was
            )

    def trouble(self, job: str, error: Exception) -> None:
        """Log that a side job failed; it runs again."""
        self.log.emit(logging.WARNING, "worker.upkeep_failed", job=job, error=one_line(error))
