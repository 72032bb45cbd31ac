"""Ends the services of a lab whose supervisor is gone, on every system.

Run as a script of its own, standard library only. It reads a pipe whose only writer is the
supervisor: `+ GROUP SIGNAL` when a service starts, `- GROUP` when one has ended. The end of the
pipe means that the supervisor is gone, however it died; what is still listed is ended then. On
Linux the kernel does the same a moment earlier (PDEATHSIG); macOS has nothing like it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

GRACE_S = 5.0
"""As long as a service has when its lab is taken down: PostgreSQL then ends in good order."""


def listen(lines: Iterable[str]) -> dict[int, int]:
    """Process groups that are still running at the end of the pipe, with their stop signals."""
    groups: dict[int, int] = {}
    for line in lines:
        match line.split():
            case ["+", group, number]:
                groups[int(group)] = int(number)
            case ["-", group]:
                groups.pop(int(group), None)
    return groups


def end(groups: dict[int, int]) -> None:
    """Ask every group to stop, newest first; kill what is left after the grace."""
    for group, number in reversed(groups.items()):
        with suppress(OSError):
            os.killpg(group, number)
            os.killpg(group, signal.SIGCONT)  # a paused process would not hear it
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline and any(map(_is_there, groups)):
        time.sleep(0.02)
    for group in groups:
        with suppress(OSError):
            os.killpg(group, signal.SIGKILL)


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    end(listen(sys.stdin))
