"""Waiting: how long until a condition holds, without a silent minute and without a sleep?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

LOOK_EVERY_S = 0.2
SAY_EVERY_S = 2.0

Say = Callable[[str], None]
Pause = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """How a wait ended: what was still lacking (empty when it held) and the seconds it took."""

    lacking: str
    seconds: float


def wait_until(
    lacking: Callable[[], str], *, within_s: float, what: str, say: Say, pause: Pause = time.sleep
) -> Waited:
    """Ask what is lacking until it is nothing, for `within_s` seconds at most."""
    start = time.monotonic()
    said = start
    while True:
        reason = lacking()
        now = time.monotonic()
        if not reason or now - start >= within_s:
            return Waited(lacking=reason, seconds=now - start)
        if now - said >= SAY_EVERY_S:
            said = now
            say(f"{what}: {reason} ({now - start:.0f} s of {within_s:.0f} s)")
        pause(LOOK_EVERY_S)
