"""A wall clock over work that may hang: the caller goes on in time, whatever the work does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


class Deadline:
    """A moment on the monotonic clock until which one source may take."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        """Seconds that are left, never less than zero."""
        return max(0.0, self._end - time.monotonic())


def within(deadline: Deadline, work: Callable[[], Result], *, stop: Callable[[], None]) -> Result:
    """Run `work` in its own thread and wait for it until the deadline.

    Timeouts of sockets count idle time only: one byte every half second never trips them. The
    thread that is left behind is a daemon, and `stop` takes away what it waits for.

    Raises:
        TimeoutError: the deadline passed first.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 carried to the caller, who decides
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="source").start()
    try:
        return future.result(timeout=deadline.left_s)
    except TimeoutError:
        stop()
        raise
