"""Log file faults: how does a worker's log stop growing, as on a full disk?

The kernel refuses every byte beyond a limit on this one process's files; the process goes on.
The limit has no lease; the drill's keeper lifts it when the runner is gone.
"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loomtriage.drills.fault import Undo
from loomtriage.drills.recovery import Recovery
from loomtriage.errors import Refused
from loomtriage.lab import control
from loomtriage.lab.alive import is_same
from loomtriage.model import Evidence

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState

KIND = "log_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFullFault:
    """A process that may write no more to its log."""

    lab: LabState
    planned: Undo

    def apply(self) -> Undo:
        """Set the limit to what the log holds now.

        Raises:
            Refused: the system does not let us.
        """
        detail = self.planned.detail
        size = os.stat(control.process_of(self.lab, detail["service"]).log).st_size  # noqa: PTH116
        _limit(self.planned, size)
        return self.planned

    def witness(self) -> Evidence | None:
        """The kernel says that the limit is what the log holds, to the byte."""
        detail = self.planned.detail
        size = control.process_of(self.lab, detail["service"]).log.stat().st_size
        limit = _limit_of(self.planned)
        if limit is None or limit < 0 or limit > size:
            return None
        says = (
            f"The kernel lets {detail['service']} write no file beyond {limit} bytes, and its log "
            f"holds {size}."
        )
        return Evidence(kind="witness", ref=f"/proc/{detail['pid']}/limits", says=says)

    def revert(self, undo: Undo) -> None:
        """Lift the limit."""
        lift(self.lab, undo)

    def is_active(self) -> bool:
        """Whether that process has a limit."""
        limit = _limit_of(self.planned)
        return limit is not None and limit != resource.RLIM_INFINITY


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFull:
    """The disk of a service's log is full.

    Attributes:
        service: the lab's service.
    """

    service: str = "worker"
    kind: str = KIND

    def lacks(self, lab: LabState) -> str:
        """A kernel that can limit another process, or the service."""
        if not hasattr(resource, "prlimit"):
            return "a system that can limit the files of another process"
        return "" if control.pid_of(lab, self.service) else f"a running {self.service}"

    def bind(self, lab: LabState, *, fault_id: str) -> LogFullFault:
        """The fault on the process that runs now."""
        process = control.process_of(lab, self.service)
        detail = {
            "service": self.service,
            "pid": str(process.pid),
            "mark": process.mark or "",
        }
        undo = Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id, detail=detail)
        return LogFullFault(lab=lab, planned=undo)


def lift(_lab: LabState, undo: Undo) -> None:
    """Let that process write again; a no-op when it is gone or was never limited."""
    if _limit_of(undo) not in (None, resource.RLIM_INFINITY):
        _limit(undo, resource.RLIM_INFINITY)


def _limit(undo: Undo, soft: int) -> None:
    pid = int(undo.detail["pid"])
    try:
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft if soft >= 0 else hard, hard))
    except OSError as error:
        raise Refused(
            f"The system does not limit the files of process {pid}: {error.strerror}.",
            hint="Run as the user that started the lab.",
        ) from error


def _limit_of(undo: Undo) -> int | None:
    """The limit of that very process, None when it is gone."""
    pid = int(undo.detail["pid"])
    if not is_same(pid, undo.detail["mark"]):
        return None
    try:
        return resource.prlimit(pid, resource.RLIMIT_FSIZE)[0]
    except OSError:
        return None


def _limited(lab: LabState) -> tuple[tuple[str, Undo], ...]:
    found = []
    for process in control.show(lab):
        detail = {"pid": str(process.pid or 0), "mark": process.mark or ""}
        undo = Undo(kind=KIND, fault_id="", lab_id=lab.lab_id, detail=detail)
        if process.pid and _limit_of(undo) not in (None, resource.RLIM_INFINITY):
            found.append((process.name, undo))
    return tuple(found)


def _sweep(lab: LabState) -> tuple[str, ...]:
    found = _limited(lab)
    for _, undo in found:
        lift(lab, undo)
    return tuple(name for name, _ in found)


RECOVERY = Recovery(
    kinds=(KIND,),
    revert=lift,
    standing=lambda lab: tuple(name for name, _ in _limited(lab)),
    sweep=_sweep,
)
