"""Steady state: is the lab at rest, ready, and free of faults?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loomtriage.drills.digest import worker_process
from loomtriage.drills.faults import standing
from loomtriage.drills.faults.http import connect_error, proxy_state
from loomtriage.drills.loopback import ask
from loomtriage.drills.rows import ACTIVE, count_rows
from loomtriage.drills.waiting import Pause, Say, Waited, wait_until
from loomtriage.errors import FaultStillActive, Refused, TriageError
from loomtriage.lab.state import is_alive

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState


def unsteady(lab: LabState) -> str:
    """Why the lab is not at rest, empty when it is: the first of its bounds that does not hold."""
    try:
        return _unsteady(lab)
    except TriageError as error:
        return error.message.removesuffix(".")  # a part of a sentence


def _unsteady(lab: LabState) -> str:
    if not is_alive(lab):
        return "the lab's supervisor is not running"
    faults = standing(lab)
    if faults:
        return f"{len(faults)} fault(s) stand: {', '.join(faults)[:80]}"
    if not proxy_state(lab).listening:
        return "the fault proxy does not listen"
    ready = _readiness(lab)
    if ready != 200:
        return f"the worker is not ready (status {ready})"
    process = worker_process(lab)
    if process in {"stopped", "gone"}:
        return f"the worker's process is {process}"
    active = count_rows(lab).total(*ACTIVE)
    return f"{active} outbox rows are not done" if active else ""


def _readiness(lab: LabState) -> int:
    """Status of the worker's /readyz, of /metrics for a worker of somebody else's without one."""
    if connect_error(lab.ports["worker_http"]) == 0:
        return ask("GET", f"http://127.0.0.1:{lab.ports['worker_http']}/readyz").status_code
    return ask("GET", f"http://127.0.0.1:{lab.ports['worker']}/metrics").status_code


def wait_steady(lab: LabState, *, within_s: float, say: Say, pause: Pause) -> Waited:
    """Wait until the lab is at rest, `within_s` seconds at most."""
    return wait_until(
        lambda: unsteady(lab), within_s=within_s, what="Waiting for rest", say=say, pause=pause
    )


def demand_steady(lab: LabState, *, within_s: float, say: Say, pause: Pause) -> None:
    """Refuse to go on unless the lab comes to rest.

    Raises:
        Refused: it does not within `within_s` seconds; the message says what is lacking.
    """
    _refuse_standing(lab)
    waited = wait_steady(lab, within_s=within_s, say=say, pause=pause)
    if waited.lacking:
        raise Refused(
            f"The lab is not at rest: {waited.lacking}.",
            hint="Wait, or take the lab down and start it again.",
        )


def demand_healed(lab: LabState) -> None:
    """Make sure that no fault stands.

    Raises:
        FaultStillActive: one does.
    """
    faults = standing(lab)
    if faults:
        raise FaultStillActive(
            f"{len(faults)} fault(s) still stand: {', '.join(faults)[:80]}.",
            hint="Run `loomtriage recover`, or take the lab down.",
        )


def _refuse_standing(lab: LabState) -> None:
    faults = standing(lab)
    if faults:
        raise Refused(
            f"{len(faults)} fault(s) stand in the lab already: {', '.join(faults)[:80]}.",
            hint="Run `loomtriage recover`; it takes them back.",
        )
