"""Worker faults: how does a service of the lab run with another environment than declared?

A changed environment has no lease; the drill's keeper gives the declared one back when the
runner is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loomtriage.drills.fault import Undo
from loomtriage.drills.recovery import Recovery
from loomtriage.lab import control
from loomtriage.model import Evidence

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState

ENV, RESTART = "worker_env", "worker_restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvFault:
    """A service that was restarted with other variables, or with the same."""

    lab: LabState
    planned: Undo
    env: Mapping[str, str]

    def apply(self) -> Undo:
        """Restart it."""
        control.restart(self.lab, self.planned.detail["service"], env=self.env)
        return self.planned

    def witness(self) -> Evidence | None:
        """Another process answers, and the kernel says that it has these variables."""
        detail = self.planned.detail
        process = control.process_of(self.lab, detail["service"])
        if process.mark == detail["mark"] or process.pid is None:
            return None
        names = [name for name, value in self.env.items() if _has(process.pid, name, value)]
        if len(names) < len(self.env):
            return None
        told = f" with {', '.join(sorted(names))} changed" if names else ""
        says = f"The kernel shows another process of {detail['service']} than before{told}."
        return Evidence(kind="witness", ref=f"/proc/{process.pid}/environ", says=says)

    def revert(self, undo: Undo) -> None:
        """Restart it as declared, unless it runs so."""
        as_declared(self.lab, undo)

    def is_active(self) -> bool:
        """Whether its variables differ from the declared ones."""
        return bool(control.process_of(self.lab, self.planned.detail["service"]).env)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEnv:
    """A service is restarted with other environment variables.

    Attributes:
        service: the lab's service.
        env: variables and values that differ from the declared ones.
        skew_s: seconds by which its wall clock goes wrong; 0 leaves it alone.
    """

    service: str = "worker"
    env: Mapping[str, str] = field(default_factory=dict)
    skew_s: float = 0.0
    kind: str = ENV

    def lacks(self, lab: LabState) -> str:
        """The service, when it does not run."""
        return "" if control.pid_of(lab, self.service) else f"a running {self.service}"

    def bind(self, lab: LabState, *, fault_id: str) -> EnvFault:
        """The fault on the process that runs now."""
        mark = control.process_of(lab, self.service).mark or ""
        detail = {"service": self.service, "mark": mark}
        undo = Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id, detail=detail)
        skew = control.skewed(self.skew_s) if self.skew_s else {}
        return EnvFault(lab=lab, planned=undo, env={**self.env, **skew})


def as_declared(lab: LabState, undo: Undo) -> None:
    """Give a service its declared environment back; a no-op when it has it."""
    if control.process_of(lab, undo.detail["service"]).env:
        control.restart(lab, undo.detail["service"], env={})


def dress(lab: LabState, services: Mapping[str, Mapping[str, str]]) -> None:
    """Let services run with these variables for the length of a drill; `control.reset` ends it.

    Raises:
        SourceUnavailable, TriageError: one of them does not come up.
    """
    for service, variables in services.items():
        control.start(lab, service, env=variables)


def _has(pid: int, name: str, value: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123  (no file of ours)
            return f"{name}={value}".encode() in file.read().split(b"\0")
    except OSError:
        return False


def _sweep(lab: LabState) -> tuple[str, ...]:
    found = control.strayed(lab)
    if found:
        control.reset(lab)
    return found


RECOVERY = Recovery(
    kinds=(ENV, RESTART), revert=as_declared, standing=control.strayed, sweep=_sweep
)
"""The sweep brings back every service that is not as declared: changed, paused, dead or spare."""
