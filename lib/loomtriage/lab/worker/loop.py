"""Worker loop: claims and processes until it is told to stop, whatever goes wrong meanwhile."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from loomtriage.lab.outbox.failures import LOCKED
from loomtriage.lab.telemetry.jsonlog import one_line
from loomtriage.lab.telemetry.meters import Meters
from loomtriage.lab.worker.batch import Batch, Desk
from loomtriage.lab.worker.runtime import Runtime, WorkerState, every
from loomtriage.lab.worker.settings import WorkerSettings
from loomtriage.lab.worker.taking import Taker
from loomtriage.lab.worker.upkeep import GAUGE_INTERVAL_S, Upkeep

TROUBLE_PAUSE_S = 1.0
INDEX_CHECK_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One search worker, its parts joined; `run` is its loop."""

    settings: WorkerSettings
    runtime: Runtime
    taker: Taker
    desk: Desk
    upkeep: Upkeep
    meters: Meters
    process: Callable[[Batch], None]

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
            "index": (INDEX_CHECK_S, self._ensure_index),
        }
        for name, (interval_s, action) in jobs.items():
            every(
                interval_s,
                action,
                name=name,
                stop=self.runtime.stop,
                on_trouble=self.upkeep.trouble,
            )

    def _ensure_index(self) -> None:
        try:
            is_new = self.desk.elastic.ensure_index()
        except httpx.HTTPError as error:
            # Elasticsearch being away is told by the rows; here it only delays a new index.
            self.desk.log.emit(logging.DEBUG, "outbox.index_unknown", error=one_line(error))
            return
        if is_new:
            self.desk.log.emit(logging.INFO, "outbox.index_made", es_index=self.settings.index)

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
        self.desk.elastic.close()
        self.desk.sessions.close()
