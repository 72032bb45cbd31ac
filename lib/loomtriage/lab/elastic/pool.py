"""Elastic pool: whether a write gets a thread, waits in the bounded queue, or is rejected."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from pydantic import BaseModel, ConfigDict, Field

from loomtriage.lab.elastic.errors import coordinating_rejected, queue_rejected


class Limits(BaseModel):
    """How much writing the stand-in takes; the body of `PUT /_lab/limits`.

    Attributes:
        workers: shard operations that run at the same time.
        queue: shard operations that may wait.
        service_s: seconds that each document takes.
        coordinating_bytes: request bytes that may be in flight together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(default=2, ge=1, le=64)
    queue: int = Field(default=10_000, ge=0, le=1_000_000)
    service_s: float = Field(default=0.0, ge=0.0, le=30.0, allow_inf_nan=False)
    coordinating_bytes: int = Field(default=51 * 1024 * 1024, ge=0)


class WritePool:
    """The write thread pool: counts what runs, waits, was rejected and is complete."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.active = 0
        self.rejected = 0
        self.completed = 0
        self._held_bytes = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def set_limits(self, limits: Limits) -> None:
        """Take other limits from now on; what runs or waits already stays."""
        self.limits = limits
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
