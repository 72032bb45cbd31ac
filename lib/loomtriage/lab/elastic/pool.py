"""Elastic pool: whether a write gets a thread, waits in the bounded queue, or is rejected."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from loomtriage.lab.elastic.errors import coordinating_rejected, queue_rejected
from loomtriage.lab.elastic.limits import Lease, Limits, LimitsBook


class WritePool:
    """The write thread pool: counts what runs, waits, was rejected and is complete."""

    def __init__(self, limits: Limits) -> None:
        self._book = LimitsBook(base=limits)
        self.active = 0
        self.rejected = 0
        self.completed = 0
        self._held_bytes = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limits(self) -> Limits:
        """What holds now: the leased limits while their lease lasts, else the others."""
        return self._book.limits(time.monotonic())

    @property
    def base_limits(self) -> Limits:
        """What holds while no lease does."""
        return self._book.base

    @property
    def lease(self) -> Lease | None:
        """Whose limits hold for a time, None when nobody's do."""
        return self._book.held(time.monotonic())

    def set_limits(self, limits: Limits) -> None:
        """Take other limits from now on; what runs or waits already stays."""
        self._book = replace(self._book, base=limits)
        self._hand_over()

    def lend(self, lease_id: str, limits: Limits, *, lease_s: float) -> None:
        """Take other limits until a lease ends; the same lease again prolongs it.

        Raises:
            ValueError: another lease holds.
        """
        now_s = time.monotonic()
        lease = Lease(id=lease_id, limits=limits, ends_at_s=now_s + lease_s)
        self._book = self._book.lend(lease, now_s)
        self._hand_over()

    def end_lease(self, lease_id: str) -> None:
        """Go back to the limits before a lease; fine when it has ended or never was."""
        self._book = self._book.end(lease_id)
        self._hand_over()

    @property
    def queued(self) -> int:
        """Shard operations that wait now."""
        return len(self._waiting)

    @contextmanager
    def coordinate(self, request_bytes: int) -> Iterator[None]:
        """Hold a request's bytes while it is worked on.

        Raises:
            ElasticError: 429 for the whole request when too many bytes are in flight.
        """
        held_bytes = self._held_bytes + request_bytes
        if held_bytes > self.limits.coordinating_bytes:
            raise coordinating_rejected(
                held_bytes=self._held_bytes,
                operation_bytes=request_bytes,
                max_bytes=self.limits.coordinating_bytes,
            )
        self._held_bytes = held_bytes
        try:
            yield
        finally:
            self._held_bytes -= request_bytes

    @asynccontextmanager
    async def slot(self, documents: int) -> AsyncIterator[None]:
        """Hold a write thread for the time that so many documents take.

        Raises:
            ElasticError: 429 when all threads are busy and the queue is full.
        """
        await self._enter()
        try:
            if self.limits.service_s:
                await asyncio.sleep(self.limits.service_s * documents)
            yield
            self.completed += 1
        finally:
            self._leave()

    async def _enter(self) -> None:
        if self.active < self.limits.workers:
            self.active += 1
            return
        if self.queued >= self.limits.queue:
            self.rejected += 1
            raise queue_rejected(
                f"name = lab/write, queue capacity = {self.limits.queue}, pool size = "
                f"{self.limits.workers}, active threads = {self.active}, queued tasks = "
                f"{self.queued}, completed tasks = {self.completed}"
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled():
                self._leave()  # the thread was handed over just when the request was dropped
            raise

    def _leave(self) -> None:
        self.active -= 1
        self._hand_over()

    def _hand_over(self) -> None:
        # A thread goes straight to the next in line, so nobody can overtake the queue.
        while self._waiting and self.active < self.limits.workers:
            turn = self._waiting.popleft()
            if not turn.done():
                self.active += 1
                turn.set_result(None)
