"""Load: writes to the API at a steady rate, and remembers what became of them.

Run as `python -m loomtriage.lab.load` with LAB_API_URL and LAB_PER_S until SIGTERM.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import signal
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from uuid import UUID

import httpx

from loomtriage.errors import TriageError, UsageError
from loomtriage.lab.telemetry.jsonlog import EventLog, start_logging

OPS = frozenset({"upsert", "delete"})

MAX_S = 600.0
REMEMBERED = 500
REQUEST_TIMEOUT_S = 5.0

_WORDS = ("loom", "warp", "weft", "shuttle", "heddle", "reed", "selvage", "bobbin", "treadle")
_UPDATE_SHARE = 0.2
_KNOWN_ENTITIES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCounts:
    """Writes so far; sent = accepted + refused. Refused includes unanswered ones."""

    sent: int
    accepted: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWrite:
    """One write that the plan draws: what to do to which entity.

    Attributes:
        kind: `blocks`, or `books` for the one book that all blocks belong to.
    """

    op: str
    entity_id: UUID
    text: str
    kind: str = "blocks"


class WritePlan:
    """Draws writes, the same for the same seed.

    A delete takes a block that an earlier write made; while there is none it is an upsert.

    Attributes:
        book: the write of the book, without which the chronicle would hear of nothing.
    """

    def __init__(self, *, ops: tuple[str, ...], seed: int) -> None:
        self._ops = ops
        self._random = random.Random(seed)  # noqa: S311  text and ids of a rehearsal, no secret
        self._alive: deque[UUID] = deque(maxlen=_KNOWN_ENTITIES)
        book_id = UUID(int=self._random.getrandbits(128), version=4)
        self.book = PlannedWrite(op="upsert", entity_id=book_id, text="loom", kind="books")

    def draw(self) -> PlannedWrite:
        """The next write."""
        op = self._random.choice(self._ops)
        if op == "delete" and self._alive:
            return PlannedWrite(op="delete", entity_id=self._alive.popleft(), text="")
        text = " ".join(self._random.choices(_WORDS, k=8))
        if self._alive and self._random.random() < _UPDATE_SHARE:
            return PlannedWrite(op="upsert", entity_id=self._random.choice(self._alive), text=text)
        entity_id = UUID(int=self._random.getrandbits(128), version=4)
        self._alive.append(entity_id)
        return PlannedWrite(op="upsert", entity_id=entity_id, text=text)


class Load:
    """Steady writes from one thread with one client.

    Args:
        api_url: base URL of the API.
        per_s: writes a second; when the API is slower the rate falls, no backlog is made up for.
        ops: what to draw from.
        seed: of the drawn writes; correlation ids are unique to every run.
        max_s: the load stops by itself after so many seconds.
    """

    def __init__(
        self,
        api_url: str,
        *,
        per_s: float,
        ops: tuple[str, ...] = ("upsert",),
        seed: int = 0,
        max_s: float = MAX_S,
    ) -> None:
        if not 0 < per_s <= 1000 or not ops or not set(ops) <= OPS:
            raise UsageError(
                f"A load of {per_s!r} writes a second of {ops!r} makes no sense.",
                hint="Take a rate above 0 and up to 1000, and the ops upsert or delete.",
            )
        self.run_id = secrets.token_hex(4)
        self._interval_s = 1.0 / per_s
        self._max_s = max_s
        self._plan = WritePlan(ops=ops, seed=seed)
        # trust_env off: a proxy variable must not carry loopback traffic away.
        self._http = httpx.Client(base_url=api_url, timeout=REQUEST_TIMEOUT_S, trust_env=False)
        self._stop, self._go = threading.Event(), threading.Event()
        self._guard = threading.Lock()
        self._accepted = self._refused = 0
        self._has_book = False
        self._ids: deque[str] = deque(maxlen=REMEMBERED)
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._go.set()
        self._thread.start()

    def pause(self) -> None:
        """Write nothing until `resume`."""
        self._go.clear()

    def resume(self) -> None:
        """Write again."""
        self._go.set()

    def stop(self) -> LoadCounts:
        """End, wait for the write in flight, and say what was done; harmless when repeated."""
        self._stop.set()
        self._go.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._http.close()
        return self.counts()

    def counts(self) -> LoadCounts:
        """Writes so far."""
        with self._guard:
            accepted, refused = self._accepted, self._refused
        return LoadCounts(sent=accepted + refused, accepted=accepted, refused=refused)

    @property
    def accepted(self) -> int:
        """Writes that the API took so far."""
        return self.counts().accepted

    def correlation_ids(self) -> tuple[str, ...]:
        """The ids of the last accepted writes, newest last."""
        with self._guard:
            return tuple(self._ids)

    @property
    def is_running(self) -> bool:
        """Whether the thread is alive, paused or not."""
        return self._thread.is_alive()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        ends_at = time.monotonic() + self._max_s
        due_at = time.monotonic()
        number = 0
        while time.monotonic() < ends_at and not self._stop.is_set():
            if not self._go.is_set():
                self._go.wait(0.05)
                due_at = time.monotonic()
                continue
            self._send(number)
            number += 1
            due_at = max(due_at + self._interval_s, time.monotonic() - self._interval_s)
            self._stop.wait(max(0.0, due_at - time.monotonic()))

    def _send(self, number: int) -> None:
        book = self._plan.book
        write = self._plan.draw() if self._has_book else book
        correlation_id = f"load-{self.run_id}-{number}"
        path, headers = f"/{write.kind}/{write.entity_id}", {"X-Request-Id": correlation_id}
        try:
            if write.op == "delete":
                is_accepted = self._http.delete(path, headers=headers).is_success
            else:
                body = {"text": write.text}
                if write is not book:
                    body["book_id"] = str(book.entity_id)
                is_accepted = self._http.put(path, json=body, headers=headers).is_success
        except httpx.HTTPError:
            is_accepted = False
        self._has_book = self._has_book or is_accepted
        with self._guard:
            if is_accepted:
                self._accepted += 1
                self._ids.append(correlation_id)
            else:
                self._refused += 1


def main() -> None:
    """Write until SIGTERM, without the limit in time."""
    start_logging(os.environ.get("LOG_LEVEL", "INFO"))
    logging.getLogger("httpx").setLevel(logging.WARNING)
    log = EventLog(logger=logging.getLogger("loomtriage.lab.load"), bound={"layer": "load"})
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    try:
        load = Load(
            os.environ.get("LAB_API_URL", ""),
            per_s=_rate(os.environ.get("LAB_PER_S", "1")),
            max_s=float("inf"),
        )
    except TriageError as error:
        log.logger.error("%s", error)  # noqa: TRY400  it says all
        sys.exit(int(error.exit_code))
    load.start()
    log.emit(logging.INFO, "load.started", run_id=load.run_id)
    over.wait()
    counts = load.stop()
    log.emit(
        logging.INFO,
        "load.stopped",
        sent=counts.sent,
        accepted=counts.accepted,
        refused=counts.refused,
    )


def _rate(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


if __name__ == "__main__":
    main()
