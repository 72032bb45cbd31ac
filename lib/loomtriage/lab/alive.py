"""Is a process still the one that was meant, although process ids are used again?"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path


class Kernel(StrEnum):
    """What the kernel says of a process; `stopped` is one that a signal paused."""

    RUNNING = "running"
    STOPPED = "stopped"
    GONE = "gone"
    UNKNOWN = "unknown"


def kernel_state(pid: int) -> Kernel:
    """What the kernel says of a process, `unknown` where the system does not tell."""
    if not Path("/proc/self").exists():
        return Kernel.UNKNOWN
    try:
        letter = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return Kernel.GONE
    told = {"T": Kernel.STOPPED, "t": Kernel.STOPPED, "Z": Kernel.GONE, "X": Kernel.GONE}
    return told.get(letter, Kernel.RUNNING)


def started(pid: int) -> str | None:
    """A mark that tells this process from a later one of the same id; None when it is gone.

    A zombie counts as gone. Where the system does not tell start times, all marks are equal.
    """
    try:
        # The name in the second field may hold spaces and brackets.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self").exists() else _answers(pid)
    return None if fields[0] in {"Z", "X"} else fields[19]


def is_same(pid: int, mark: str | None) -> bool:
    """Is the process that had this mark still there?"""
    return mark is not None and started(pid) == mark


def wait_gone(pid: int, mark: str | None, *, wait_s: float) -> bool:
    """Wait until the process with this mark is gone; False when it still is there."""
    deadline = time.monotonic() + wait_s
    while is_same(pid, mark):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _answers(pid: int) -> str | None:
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
    return "unknown"
