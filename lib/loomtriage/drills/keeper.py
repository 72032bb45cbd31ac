"""Keeper: who takes a fault back when its runner is gone?

A small process that outlives the runner. It is told the undo before the fault is applied and
hears a beat while the runner lives; when the beats end, it reverts as `recover` would.

Run as `python -m loomtriage.drills.keeper`; the order stands in the first line of its input.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from loomtriage.errors import SourceUnavailable

if TYPE_CHECKING:
    from loomtriage.drills.fault import Undo
    from loomtriage.lab.state import LabState

LEASE_S = 30.0
"""Silence after which a living runner counts as hung; a dead one is noticed at once.

Longer than a service takes to restart on a busy machine, since apply sends no beats."""
READY, BEAT, DISMISSED = b"ready\n", b"beat\n", b"dismissed\n"
_READY_WITHIN_S = 15.0
_TRIES = 20


class Keeper:
    """The runner's end: one keeper process for one fault."""

    def __init__(self) -> None:
        # A session of its own: what ends the runner's whole group must not end its keeper.
        self._process = subprocess.Popen(
            (sys.executable, "-m", "loomtriage.drills.keeper"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def guard(self, lab: LabState, undo: Undo, *, lease_s: float = LEASE_S) -> None:
        """Say what to take back, and wait until it is understood.

        Raises:
            SourceUnavailable: the keeper did not start; the fault must not be applied then.
        """
        order = {"root": str(lab.root), "undo": undo.as_json(), "lease_s": lease_s}
        self._tell(json.dumps(order).encode() + b"\n")
        out = self._process.stdout
        assert out is not None  # noqa: S101  (asked for above)
        answered, _, _ = select.select([out], [], [], _READY_WITHIN_S)
        if not answered or out.readline() != READY:
            raise SourceUnavailable(
                "The keeper of the fault did not start.", hint="Is the machine out of memory?"
            )

    def beat(self) -> bool:
        """Say that the runner lives; False when nobody listens any more."""
        return self._tell(BEAT)

    def dismiss(self) -> None:
        """The fault is taken back: end the keeper; fine when it is gone."""
        self._tell(DISMISSED)
        self.leave()

    def leave(self) -> None:
        """Beat no more: a keeper that was not dismissed then takes the fault back."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)

    def _tell(self, line: bytes) -> bool:
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return False
        try:
            pipe.write(line)
            pipe.flush()
        except OSError:
            return False
        return True


def keep(source: int, sink: int) -> bool:
    """Wait for the end of the beats; whether the fault had to be taken back."""
    order = json.loads(_line(source) or "null")
    if order is None:
        return False
    try:
        os.write(sink, READY)
    except BrokenPipeError:  # its runner is gone, and applies nothing before it hears this
        return False
    while select.select([source], [], [], float(order["lease_s"]))[0]:
        heard = os.read(source, 4096)
        if DISMISSED.strip() in heard:
            return False
        if not heard:
            break
    _take_back(Path(order["root"]), order["undo"])
    return True


def _take_back(root: Path, undo: object) -> None:
    # Only now: what is needed to revert takes a second to import, and mostly nobody needs it.
    from loomtriage.drills.fault import Undo
    from loomtriage.drills.faults import revert_undo
    from loomtriage.errors import TriageError
    from loomtriage.lab.state import read_state

    for _ in range(_TRIES):
        with suppress(TriageError):
            revert_undo(read_state(root), Undo.from_json(undo))
            return
        time.sleep(0.5)


def _line(source: int) -> bytes:
    found = b""
    while not found.endswith(b"\n"):
        byte = os.read(source, 1)
        if not byte:
            return b""
        found += byte
    return found


if __name__ == "__main__":
    keep(0, 1)
