"""Worker loop: claims and processes until it is told to stop, whatever goes wrong meanwhile."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from loomtriage.lab.outbox.batch import Batch, Desk
from loomtriage.lab.outbox.failures import LOCKED
from loomtriage.lab.outbox.runtime import Runtime, WorkerState, every
from loomtriage.lab.outbox.settings import OutboxSettings
from loomtriage.lab.outbox.taking import Taker
from loomtriage.lab.outbox.upkeep import GAUGE_INTERVAL_S, Upkeep
from loomtriage.lab.telemetry.jsonlog import one_line
from loomtriage.lab.telemetry.meters import Meters

TROUBLE_PAUSE_S = 1.0


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker, its parts joined; `run` is its loop.

    Attributes:
        process: works a batch off.
        side_jobs: interval in seconds and action of the projection's own upkeep, by name.
        close_target: closes what the projection writes to.
    """

    settings: OutboxSettings
    runtime: Runtime
    taker: Taker
    desk: Desk
    upkeep: Upkeep
    meters: Meters
    process: Callable[[Batch], None]
    side_jobs: Mapping[str, tuple[float, Callable[[], None]]] = field(default_factory=dict)
    close_target: Callable[[], None] = _nothing

    def run(self) -> None:
        """Claim and process until asked to stop; no exception ends the loop."""
        while not self.runtime.stop.is_set():
            self.runtime.beat()
            try:
                is_busy = self.turn()
            except Exception as error:  # noqa: BLE001  one bad turn must not end the worker
                self._survive(error)
                continue
            if not is_busy:
                self.runtime.stop.wait(self.settings.poll_s)

    def turn(self) -> bool:
        """Claim and process once; whether there was anything to do."""
        if self.runtime.state is not WorkerState.RUNNING:
            return False
        batch = self.taker.take()
        if batch is None:
            return False
        if self.settings.process_sleep_s:
            self.runtime.stop.wait(self.settings.process_sleep_s)
        self.process(batch)
        return True

    def _survive(self, error: Exception) -> None:
        if isinstance(error, LOCKED):
            self.meters.add("contention", reason="db_contention")
        self.desk.log.emit(logging.ERROR, "outbox.loop_error", error=one_line(error), trouble=error)
        self.runtime.stop.wait(TROUBLE_PAUSE_S)

    def start_upkeep(self) -> None:
        """Start the side jobs."""
        gauges_s = min(GAUGE_INTERVAL_S, self.settings.reclaim_interval_s)
        jobs: Mapping[str, tuple[float, Callable[[], None]]] = {
            "gauges": (gauges_s, self.upkeep.refresh),
            "lease": (self.settings.lease_s / 3, self.upkeep.renew),
            "ping": (self.settings.ping_interval_s, self.upkeep.ping),
            **self.side_jobs,
        }
        for name, (interval_s, action) in jobs.items():
            every(
                interval_s,
                action,
                name=name,
                stop=self.runtime.stop,
                on_trouble=self.upkeep.trouble,
            )

    def stop_within_grace(self) -> None:
        """End the process by force when the batch in hand outlives the grace; free its rows."""

        def watch() -> None:
            self.runtime.stop.wait()
            time.sleep(self.settings.shutdown_grace_s)
            released = self.desk.claims.release(self.desk.held.ids())
            self.desk.log.emit(logging.WARNING, "worker.shutdown_grace_exceeded", released=released)
            os._exit(1)

        threading.Thread(target=watch, name="grace", daemon=True).start()

    def close(self) -> None:
        """Give back what is still held and close all connections."""
        released = self.desk.claims.release(self.desk.held.ids())
        self.desk.log.emit(logging.INFO, "worker.stopped", released=released)
        self.runtime.ended()
        self.close_target()
        self.desk.sessions.close()
