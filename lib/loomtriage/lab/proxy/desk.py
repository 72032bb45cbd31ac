"""Proxy desk: the one place where the faults of a target and its port agree."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime

from loomtriage.lab.proxy.fault_book import Fault, FaultBook, Moment
from loomtriage.lab.proxy.gate import Gate
from loomtriage.lab.proxy.port import Port

TICK_S = 0.1
_PROBE_TICKS = 10
_log = logging.getLogger(__name__)


def moment() -> Moment:
    """Now; leases run on a clock that neither `date` nor a suspended laptop can hold back."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    clock_s = time.monotonic() if boottime is None else time.clock_gettime(boottime)
    return Moment(clock_s=clock_s, utc=datetime.now(UTC))


class Desk:
    """The book of faults of one target, the port before it, and what passes through.

    Args:
        target: name of what stands behind the port.
        listen_port: where clients connect.
        target_port: where it listens.
    """

    def __init__(self, target: str, *, listen_port: int, target_port: int) -> None:
        """Take the port and listen.

        Raises:
            UsageError: the port is taken.
        """
        self.target = target
        self.book = FaultBook()
        self.gate = Gate(target_port, self)
        self.port = Port(listen_port, self.gate.welcome)

    def choose(self, method: str, path: str) -> Fault | None:
        """The fault that acts on a request, counted with it."""
        self.book, fault = self.book.meet(method, path, now=moment())
        return fault

    def cut_success(self, fault_id: str) -> None:
        """Count a dropped answer that told a success."""
        self.book = self.book.cut_success(fault_id)

    def settle(self) -> None:
        """Heal what ended, then open or close the port as the book says."""
        self.book = self.book.sweep(moment())
        if self.book.refusing():
            self.port.refuse()
            self.book = self.book.refused(aborted=self.gate.abort_all(), probes=0)
        elif not self.port.listening:
            try:
                self.port.listen()
            except OSError:
                _log.exception("port %d is not regained yet", self.port.number)

    async def probe(self) -> None:
        """Witness with a connect of our own that the closed port refuses."""
        if self.book.refusing() and await self.port.is_refused():
            self.book = self.book.refused(aborted=0, probes=1)

    async def watch(self) -> None:
        """Settle again and again, so that a fault whose owner died heals by itself."""
        ticks = 0
        while True:
            await asyncio.sleep(TICK_S)
            self.settle()
            ticks += 1
            if ticks % _PROBE_TICKS == 0:
                await self.probe()

    def close(self) -> None:
        """Give the port back and drop all connections."""
        self.port.close()
        self.gate.abort_all()
