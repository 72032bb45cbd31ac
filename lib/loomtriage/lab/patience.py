"""How somebody who waits hears often enough that it still goes on."""

from __future__ import annotations

import time
from collections.abc import Callable

Say = Callable[[str], None]

SILENCE_S = 2.5
"""Longest silence that we plan for, so that a busy machine stays below three seconds."""


class Patience:
    """Says every line, and a line of waiting only when nothing was said for a while."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._began = self._last = time.monotonic()

    def say(self, line: str) -> None:
        """Say something new."""
        self._last = time.monotonic()
        self._say(line)

    def still(self, what: str) -> None:
        """Say that we still wait for something, if it is time to."""
        now = time.monotonic()
        if now - self._last >= SILENCE_S:
            self.say(f"  ... {what} ({now - self._began:.0f} s)")
