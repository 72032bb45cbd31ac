"""A sign of life while something takes its time: never silent for more than three seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_S = 2.5


@contextmanager
def ticking(say: Callable[[str], None], what: str, *, every_s: float = EVERY_S) -> Iterator[None]:
    """Say every `every_s` seconds that `what` still goes on, until the block ends."""
    done = threading.Event()
    begun = time.monotonic()

    def tick() -> None:
        while not done.wait(every_s):
            say(f"{what} goes on, {time.monotonic() - begun:.0f} s so far")

    thread = threading.Thread(target=tick, name="ticking", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
