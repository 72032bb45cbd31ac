"""Control: how a running lab is told to stop, start or restart one of its services.

Everything here is reversible by `reset`, which brings each service back to what the lab was
started with. The supervisor carries the orders out; nothing that it was told looks like a crash.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from loomtriage.errors import TriageError, UsageError
from loomtriage.lab.alive import Kernel
from loomtriage.lab.control_line import NO_ENV, Phase, Process, ask
from loomtriage.lab.services import last_lines

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState

READY_S = 30.0
_POLL_S = 0.05


def show(lab: LabState) -> tuple[Process, ...]:
    """All services in start order, those that are off too.

    Raises:
        SourceUnavailable: the supervisor does not answer.
    """
    return ask(lab, "show").services


def process_of(lab: LabState, service: str) -> Process:
    """One service as it is now.

    Raises:
        SourceUnavailable: the supervisor does not answer.
        UsageError: the lab has no such service.
    """
    return _one(lab, show(lab), service)


def pid_of(lab: LabState, service: str) -> int | None:
    """Process id of a service, None when it does not run.

    Raises:
        SourceUnavailable, UsageError: as of `process_of`.
    """
    return process_of(lab, service).pid


def start(
    lab: LabState, service: str, *, env: Mapping[str, str] = NO_ENV, wait_s: float = READY_S
) -> Process:
    """Let a service run with these variables beside its declared ones, and wait for its answer.

    One that runs with just them goes on undisturbed.

    Raises:
        SourceUnavailable: the supervisor does not answer.
        UsageError: the lab has no such service.
        TriageError: it ended, or did not answer within `wait_s` seconds.
    """
    ask(lab, "start", service=service, env=env)
    return wait_ready(lab, service, wait_s=wait_s)


def restart(
    lab: LabState, service: str, *, env: Mapping[str, str] = NO_ENV, wait_s: float = READY_S
) -> Process:
    """End a service and start it with these variables beside its declared ones; wait for it.

    Raises:
        SourceUnavailable, UsageError, TriageError: as of `start`.
    """
    ask(lab, "restart", service=service, env=env)
    return wait_ready(lab, service, wait_s=wait_s)


def stop(lab: LabState, service: str) -> None:
    """End a service: asked first, killed after 5 s; fine when it does not run.

    Raises:
        SourceUnavailable: the supervisor does not answer.
        UsageError: the lab has no such service.
    """
    ask(lab, "stop", service=service)


def reset(lab: LabState, *, wait_s: float = READY_S) -> tuple[str, ...]:
    """Bring every service back to what the lab was started with; those that had to be changed.

    Paused processes run on, dead and stopped services start, foreign variables go, spare services
    end. It may be called at any time and any number of times.

    Raises:
        SourceUnavailable: the supervisor does not answer.
        TriageError: a service does not come up.
    """
    changed = ask(lab, "reset").changed
    for process in show(lab):
        if process.phase in {Phase.WAITING, Phase.STARTING, Phase.DEAD}:
            wait_ready(lab, process.name, wait_s=wait_s)
    return changed


def strayed(lab: LabState) -> tuple[str, ...]:
    """Services that are not as the lab was started: what `reset` would change, and paused ones.

    Raises:
        SourceUnavailable: the supervisor does not answer.
    """
    return tuple(
        process.name
        for process in show(lab)
        if process.env
        or process.kernel is Kernel.STOPPED
        or process.phase in {Phase.DEAD, Phase.STOPPED}
        or (process.is_spare and process.phase is not Phase.OFF)
    )


def skewed(skew_s: float) -> Mapping[str, str]:
    """Variables that shift the wall clock of a Python service, ours or not, and of no other.

    Args:
        skew_s: seconds that it is ahead; behind when negative.
    """
    folder = Path(__file__).with_name("skew")
    return {"PYTHONPATH": str(folder), "LAB_CLOCK_SKEW_S": f"{skew_s:g}"}


def wait_ready(lab: LabState, service: str, *, wait_s: float = READY_S) -> Process:
    """Wait until a service answers.

    Raises:
        SourceUnavailable: the supervisor does not answer.
        TriageError: it ended, or did not answer within `wait_s` seconds.
    """
    deadline = time.monotonic() + wait_s
    while True:
        found = process_of(lab, service)
        if found.phase is Phase.READY:
            return found
        if found.phase in {Phase.DEAD, Phase.STOPPED}:
            said = " | ".join(last_lines(found.log, 3)) or "it logged nothing"
            raise TriageError(
                f"{service} ended during the start ({found.says}): {said}", hint=f"See {found.log}."
            )
        if time.monotonic() > deadline:
            raise TriageError(
                f"{service} was not ready after {wait_s:.0f} s.", hint=f"See {found.log}."
            )
        time.sleep(_POLL_S)


def _one(lab: LabState, services: tuple[Process, ...], name: str) -> Process:
    for process in services:
        if process.name == name:
            return process
    raise UsageError(
        f"The lab at {lab.root} has no service {name[:40]!r}.",
        hint=f"It has {', '.join(process.name for process in services)}.",
    )
