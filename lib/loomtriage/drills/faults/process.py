"""Process faults: how does a worker fall silent while it holds rows, by a signal from outside?"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loomtriage.drills.database import owner_session
from loomtriage.drills.fault import Undo
from loomtriage.drills.recovery import Recovery, nothing
from loomtriage.errors import SourceUnavailable
from loomtriage.lab import control
from loomtriage.lab.alive import Kernel, is_same, kernel_state, wait_gone
from loomtriage.model import Evidence

if TYPE_CHECKING:
    from random import Random

    from loomtriage.lab.state import LabState

STOP, KILL = "process_stop", "process_kill"
HOLDS_WITHIN_S = 6.0
DIES_S, DYING_S = 10.0, 0.5
"""How long a killed process may take to go on a busy machine; how long a living one is looked at
that may be dying."""
_LOOK_EVERY_S = 0.004


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFault:
    """A worker that is stopped or killed in the middle of its work."""

    lab: LabState
    planned: Undo

    def apply(self) -> Undo:
        """Stop it until it is caught with rows claimed; then leave it so, or kill it.

        Raises:
            SourceUnavailable: it was never caught with a row.
        """
        deadline = time.monotonic() + HOLDS_WITHIN_S
        self._send(signal.SIGSTOP)
        while not _held_rows(self.lab, self.planned.detail["owner"]):
            if time.monotonic() > deadline:
                self._send(signal.SIGCONT)
                raise SourceUnavailable(
                    "The worker was never caught with a claimed row.",
                    hint="Give the lab more load.",
                )
            self._send(signal.SIGCONT)
            time.sleep(_LOOK_EVERY_S)
            self._send(signal.SIGSTOP)
        if self.planned.kind == KILL:
            self._send(signal.SIGKILL)
            pid, mark = int(self.planned.detail["pid"]), self.planned.detail["mark"]
            if not wait_gone(pid, mark, wait_s=DIES_S):
                raise SourceUnavailable(
                    f"The worker's process {pid} was killed and is still there.",
                    hint="The machine is too busy for this drill; try again.",
                )
        return self.planned

    def witness(self) -> Evidence | None:
        """The kernel says that this very process is stopped or gone."""
        detail, pid = self.planned.detail, int(self.planned.detail["pid"])
        wanted = Kernel.STOPPED if self.planned.kind == STOP else Kernel.GONE
        state = kernel_state(pid) if is_same(pid, detail["mark"]) else Kernel.GONE
        if state is not wanted:
            return None
        held = _held_rows(self.lab, detail["owner"])
        says = f"The kernel says that the process of {detail['service']} is {state}."
        caught = f" It has {held} rows claimed." if held else ""
        return Evidence(kind="witness", ref=f"/proc/{pid}/stat", says=says + caught)

    def revert(self, undo: Undo) -> None:
        """Let it go on, or start it again."""
        wake(self.lab, undo)

    def is_active(self) -> bool:
        """Whether it is stopped, or gone and not replaced."""
        process = control.process_of(self.lab, self.planned.detail["service"])
        return process.kernel in (Kernel.STOPPED, Kernel.GONE)

    def _send(self, number: signal.Signals) -> None:
        pid, mark = int(self.planned.detail["pid"]), self.planned.detail["mark"]
        if not is_same(pid, mark):
            raise SourceUnavailable("The worker's process is gone.", hint="Start it again.")
        os.killpg(pid, number)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopProcess:
    """A worker is stopped (SIGSTOP) or killed (SIGKILL) with rows claimed.

    Attributes:
        service: the lab's service.
        owner: under which name it claims rows.
    """

    service: str = "worker"
    owner: str = "worker-1"
    kind: str = STOP

    def lacks(self, lab: LabState) -> str:
        """The service, when it does not run."""
        return "" if control.pid_of(lab, self.service) else f"a running {self.service}"

    def bind(self, lab: LabState, *, fault_id: str) -> ProcessFault:
        """The fault on the process that runs now."""
        process = control.process_of(lab, self.service)
        detail = {
            "service": self.service,
            "owner": self.owner,
            "pid": str(process.pid),
            "mark": process.mark or "",
        }
        undo = Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id, detail=detail)
        return ProcessFault(lab=lab, planned=undo)

    def vary(self, draw: Random) -> StopProcess:
        """Stopped or killed: what the outbox sees is the same."""
        return replace(self, kind=draw.choice((STOP, KILL)))


def wake(lab: LabState, undo: Undo) -> None:
    """Let that process go on; start its service again when it is gone."""
    pid, mark = int(undo.detail["pid"]), undo.detail["mark"]
    if is_same(pid, mark):
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGCONT)
    # A process that was killed a moment ago may still be counted among the living.
    if undo.kind == KILL and wait_gone(pid, mark, wait_s=DYING_S):
        control.start(lab, undo.detail["service"])


def _held_rows(lab: LabState, owner: str) -> int:
    with owner_session(lab) as session:
        found = session.execute(
            "SELECT count(*) FROM search_outbox_events WHERE status = 'processing' AND owner = %s",
            (owner,),
        ).fetchone()
    return int(str(found[0])) if found else 0


RECOVERY = Recovery(kinds=(STOP, KILL), revert=wake, standing=nothing, sweep=nothing)
"""Services that are not as declared are swept by `faults.worker`, however they came to be so."""
