"""Aftermath: how does the lab come to rest after a drill, and is it what it was?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from loomtriage.drills.digest import LabDigest, take_digest
from loomtriage.drills.faults import standing
from loomtriage.drills.faults.http import proxy_state
from loomtriage.drills.meter import Reading, read_meters
from loomtriage.drills.replay import replay_failed
from loomtriage.drills.rows import ACTIVE, count_rows
from loomtriage.drills.setup import Setup
from loomtriage.drills.steady import wait_steady
from loomtriage.drills.waiting import Pause, wait_until
from loomtriage.errors import TriageError
from loomtriage.lab import control
from loomtriage.lab.services import status
from loomtriage.lab.state import LabState, is_alive
from loomtriage.model import Finding, State

WORKERS = ("worker", "worker-2", "chronicle")
UNASKED = "could not be asked"
"""How `still_standing` begins where nobody can say what stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """The lab when it had come to rest, or when the time for that was over.

    Attributes:
        reading: the counters when no row waited any more, before services were reset.
        digest: what the lab looks like at the end.
        seconds: how long it took.
        lacking: what still kept it from rest, empty when it came to rest.
        notes: what was done on the way.
    """

    reading: Reading
    digest: LabDigest
    seconds: float
    lacking: str
    notes: tuple[str, ...]


def come_to_rest(setup: Setup, *, since: datetime, pause: Pause) -> Rest:
    """Let the rows drain, replay what failed since then, and give services their variables back."""
    setup.say("Waiting for rest.")
    lab, began, notes = setup.lab, time.monotonic(), []
    try:
        _drain(setup, pause)
        if replayed := replay_failed(lab, since=since):
            notes.append(f"{replayed} rows that had failed for good were replayed.")
            _drain(setup, pause)
        reading = read_meters(lab)
    finally:
        if setup.drill.services:
            control.reset(lab)
    waited = wait_steady(lab, within_s=setup.times.settle_s, say=setup.say, pause=pause)
    return Rest(
        reading=reading,
        digest=take_digest(lab),
        seconds=time.monotonic() - began,
        lacking=waited.lacking,
        notes=tuple(notes),
    )


def _drain(setup: Setup, pause: Pause) -> None:
    def undone() -> str:
        try:
            active = count_rows(setup.lab).total(*ACTIVE)
        except TriageError as error:  # one late answer must not leave the services dressed
            return error.message
        return f"{active} rows are not done" if active else ""

    wait_until(undone, within_s=setup.times.settle_s, what="Draining", say=setup.say, pause=pause)


def lost(lab: LabState) -> str:
    """Which part of the lab died, so that nobody can say anything of the rest; without a dot."""
    if not is_alive(lab):
        return "the lab's supervisor died"
    # Workers are what drills act on; their end is a difference, not a loss of the lab.
    dead = [s.name for s in status(lab.root) if s.state == "dead" and s.name not in WORKERS]
    if dead:
        return f"the lab's {' and '.join(dead)} died"
    try:
        proxy_state(lab)
    except TriageError as error:
        return str(error).removesuffix(".")
    return ""


def still_standing(lab: LabState) -> str:
    """What `recover` must still take back, empty when nothing stands."""
    try:
        return ", ".join(standing(lab))
    except TriageError as error:
        return f"{UNASKED}: {error.message[:300].removesuffix('.')}"
    except Exception as error:  # noqa: BLE001  (what cannot be seen may stand)
        return f"{UNASKED}: {type(error).__name__}: {str(error)[:300]}"


def compare(setup: Setup, start: LabDigest | None, rest: Rest) -> Finding:
    """Whether the lab is what it was; rows that the drill says may stay are residue (WARN)."""
    check = "drill.restored"
    if start is None:
        return Finding(check=check, state=State.NO_DATA, says="No digest was taken at the start.")
    differs, waited_s = rest.digest.differs(start.parts), rest.seconds
    if rest.lacking:
        says = f"The lab did not come to rest in {waited_s:.0f} s: {rest.lacking}."
        return Finding(check=check, state=State.BAD, says=says)
    if differs:
        names = [text.partition(":")[0] for text in differs]
        stays = all(
            name.startswith("rows.") and name.rpartition(".")[2] in setup.drill.residue
            for name in names
        )
        state = State.WARN if stays else State.BAD
        return Finding(check=check, state=state, says=f"Not as before: {'; '.join(differs)}.")
    if waited_s > setup.times.late_s:
        says = f"Restored late: at rest after {waited_s:.0f} s (bound {setup.times.late_s:g} s)."
        return Finding(check=check, state=State.WARN, says=says, value=waited_s, unit="s")
    says = f"The lab is what it was, at rest after {waited_s:.1f} s."
    return Finding(check=check, state=State.OK, says=says, value=waited_s, unit="s")
