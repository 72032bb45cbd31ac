"""Clock: did the wall clock jump, or the machine sleep, while a drill ran?"""

from __future__ import annotations

import time
from dataclasses import dataclass

JUMP_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMark:
    """One moment on the wall clock, on the one that never jumps, and on the one that sleeps too."""

    wall_s: float
    steady_s: float
    awake_s: float

    @classmethod
    def now(cls) -> ClockMark:
        """This moment."""
        # CLOCK_BOOTTIME goes on in sleep, where CLOCK_MONOTONIC stops; only Linux has it.
        boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return cls(wall_s=time.time(), steady_s=time.clock_gettime(boot), awake_s=time.monotonic())

    def jump_until(self, later: ClockMark) -> str:
        """What the clocks disagree about, empty within `JUMP_S` seconds."""
        passed = later.steady_s - self.steady_s
        wall = later.wall_s - self.wall_s - passed
        slept = passed - (later.awake_s - self.awake_s)
        if abs(wall) > JUMP_S:
            return f"the wall clock jumped by {wall:+.1f} s"
        if slept > JUMP_S:
            return f"the machine slept for {slept:.1f} s"
        return ""
