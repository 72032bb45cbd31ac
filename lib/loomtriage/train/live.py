"""Live: how is a round played in the lab, while the fault stands?

The drill is performed as always: journalled, leased, witnessed, taken back. Only the triage is a
person. The clock starts at the witness; the fault is taken back when the answers are in, when the
time is up, or when whoever runs the round ends it, and by its lease or keeper when that is killed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from loomtriage.drills.book import DRILLS
from loomtriage.drills.drill import Budget, Drill
from loomtriage.drills.fault import PLACEBO, AppliedPlacebo, Placebo, Undo
from loomtriage.drills.faults import no_fault_stands, standing
from loomtriage.drills.journal import Journal
from loomtriage.drills.perform import perform
from loomtriage.drills.record import Point, Position, Step
from loomtriage.drills.result import DrillResult, TriageAnswer, is_proven
from loomtriage.drills.session import Order as LabOrder
from loomtriage.drills.session import lab_of
from loomtriage.drills.setup import Times
from loomtriage.drills.signals import exit_of
from loomtriage.lab.state import LabState
from loomtriage.model import State, Window
from loomtriage.model.window import iso, parse_instant
from loomtriage.settings import settings
from loomtriage.train.answers import Stamped
from loomtriage.train.board import unheard
from loomtriage.train.closing import Hindsight, close, look_back
from loomtriage.train.pool import pick, recorded_step
from loomtriage.train.rounds import (
    ROUND_FILE,
    Closed,
    Desk,
    GaveUp,
    Held,
    Opened,
    Order,
    promised,
)
from loomtriage.train.truth import Truth, truth_of

TOLD_BY_THE_PROCESS: Mapping[str, str] = {
    "clock_skew": "its name stands in the environment of the process that it acts on",
}
"""Drills that are for offline rounds only, each with its reason."""
HEALTHY_S = 11.0
"""Health before the fault, as long as the windows of the recorded runs."""
DECOY: Mapping[str, Mapping[str, str]] = {"chronicle": {"CHRONICLE_PROJECTION_VERSION": "2"}}
"""Settings that are a fault when they come in mid-stream, and none when they stood all along."""
SEEN_S = 4.0
"""The fault must stand that long before a drill may judge whether work went on under it."""
MOST_ONSET_S = 8.0
OVER_S = 120.0
"""The fault may stand that much longer than answers take: before the clock, and to look back."""
MOST_DEAD_ROWS_PER_S = 30.0
"""More than any load writes: rows that fail for good are what some rounds are about."""


@dataclass(slots=True, kw_only=True)
class _Sitting:
    """What a person's turn leaves, filled in while the fault stands."""

    t0: datetime | None = None
    opened: Opened | None = None
    sheet: Sequence[Stamped] = ()
    seen: Hindsight = field(default_factory=Hindsight)
    gave_up: str = ""


class DressedPlacebo(Placebo):
    """No fault, in a lab whose services wear other settings than declared: only those stand."""

    def bind(self, lab: LabState, *, fault_id: str) -> AppliedPlacebo:
        """The placebo on that lab, when its services are dressed."""
        worn = standing(lab)
        undo = Undo(kind=PLACEBO, fault_id=fault_id, lab_id=lab.lab_id)
        return AppliedPlacebo(undo, lambda: no_fault_stands(lab, but=worn))


def draw_drill(order: Order, draw: Random) -> Drill:
    """A drill with parameters, onset and decoys; it may stand as long as the round takes."""
    names = [name for name in DRILLS if name not in TOLD_BY_THE_PROCESS]
    drills = [DRILLS.get(name, noun="drill") for name in names]
    chosen = pick(drills, lambda one: one, level=order.level, draw=draw)
    # Services dressed for some faults must not be a sign of them: a placebo wears them too.
    dress = draw.choice([one.services for one in drills if one.services])
    drawn = chosen.drawn(draw.getrandbits(16))
    is_plain = isinstance(drawn.fault, Placebo)
    worn = dress if is_plain and draw.random() < 0.5 else drawn.services
    if getattr(drawn.fault, "service", "") not in DECOY and draw.random() < 0.5:
        worn = {**worn, **DECOY}
    stands_s = order.limit_s + OVER_S
    return replace(
        drawn,
        fault=DressedPlacebo() if is_plain else drawn.fault,
        services=worn,
        expect=(),  # the counters are not judged here; what must be proven is the witness
        fault_s=SEEN_S,
        onset_s=drawn.onset_s + draw.uniform(0.0, MOST_ONSET_S),
        budget=Budget(max_s=stands_s, max_failed_rows=math.ceil(MOST_DEAD_ROWS_PER_S * stands_s)),
    )


def play_live(
    order: Order,
    desk: Desk,
    *,
    say: Callable[[str], None],
    opened: Callable[[Opened], None],
) -> Closed:
    """Play one round in a lab of its own.

    Args:
        order: how.
        desk: takes the answers.
        say: takes progress lines, which tell nothing of the truth.
        opened: told once, when the clock starts.

    Raises:
        GaveUp: no answers came, or the fault could not be witnessed; the lab is restored, and the
            round is on the board as abandoned.
    """
    drill = draw_drill(order, order.draw())
    plain = DRILLS.get(drill.id, noun="drill")
    step = recorded_step(order.pool, drill.id)
    truth = truth_of(plain, run=drill.told(), operation=step)
    with promised(order, truth, say=say) as held:
        say(f"Round {held.id} is promised: {held.promise.commit}")
        with lab_of(LabOrder(out=order.out), say) as (lab, owned):
            sitting = _Sitting()
            turn = _Turn(held, lab, desk=desk, opened=opened, sitting=sitting)
            say("The lab works. The clock starts when something has happened, or nothing has.")
            result = perform(
                drill,
                lab,
                journal=Journal(settings().home_dir(), lab_id=lab.lab_id, on_point=turn.at_point),
                folder=held.folder / "drill",
                say=unheard,  # what a drill says while it runs would tell what it does
                triage=turn.answer,
                times=Times(baseline_s=HEALTHY_S, fault_s=SEEN_S),
                owns_lab=owned,
                is_blind=True,
            )
            return _finish(held, truth, sitting, result)


class _Turn:
    """The person, in the place of the triage."""

    def __init__(
        self,
        held: Held,
        lab: LabState,
        *,
        desk: Desk,
        opened: Callable[[Opened], None],
        sitting: _Sitting,
    ) -> None:
        self._held, self._lab, self._desk, self._told = held, lab, desk, opened
        self._sitting, self._applied = sitting, datetime.now(UTC)

    def at_point(self, point: Point) -> None:
        """Start the clock when the witness has spoken."""
        if point == Point(Step.APPLIED, Position.BEFORE):
            self._applied = datetime.now(UTC)
        if point != Point(Step.VERIFIED, Position.AFTER):
            return
        order = self._held.order
        self._sitting.t0 = datetime.now(UTC)
        self._sitting.opened = Opened(
            id=self._held.id,
            commit=self._held.promise.commit,
            mode=order.mode,
            level=order.level,
            source=f"lab:{self._lab.root.name}",
            start=iso(self._applied),
            folder=self._held.folder,
            limit_s=order.limit_s,
        )

    def answer(self, window: Window, _baseline: Window) -> TriageAnswer:
        """Ask the person, then see for ourselves while the telemetry is there.

        The drill's own baseline is as short as the fault stands now; a person's window grows.
        """
        sitting = self._sitting
        assert sitting.opened is not None and sitting.t0 is not None  # noqa: S101, PT018
        healthy = window.start - timedelta(seconds=HEALTHY_S)
        sitting.opened = opened = replace(
            sitting.opened, start=iso(window.start), baseline=iso(healthy)
        )
        self._held.write(ROUND_FILE, opened.as_json())
        try:
            with self._held.watched(self._lab.root):
                self._told(opened)
                late = (datetime.now(UTC) - sitting.t0).total_seconds()
                taken = self._desk(opened)
        except GaveUp as error:
            sitting.gave_up = str(error)
            return TriageAnswer(cause="unknown", state=State.NO_DATA)
        sitting.sheet = [replace(one, after_s=one.after_s + late) for one in taken]
        sitting.seen = look_back(self._held, opened, sitting.sheet)
        final = sitting.sheet[-1].answers
        return TriageAnswer(cause=final.cause or "unknown", state=State.BAD)


def _finish(held: Held, truth: Truth, sitting: _Sitting, result: DrillResult) -> Closed:
    if result.interrupted:
        raise GaveUp(result.says, code=exit_of(result.interrupted))
    if sitting.gave_up or not sitting.sheet or sitting.opened is None:
        raise GaveUp(sitting.gave_up or result.says)
    if not is_proven(result.as_json()):
        raise GaveUp(f"the round proved nothing: {result.invalid or result.says}")
    assert sitting.t0 is not None  # noqa: S101  (it was opened)
    restored = next((one for one in result.phases if one.name == Step.RESTORED.value), None)
    seen = sitting.seen
    if restored is not None and result.restored:
        since = (parse_instant(restored.at) - sitting.t0).total_seconds()
        after_s = round(since + restored.seconds, 1)
        seen = replace(seen, proven=replace(seen.proven, restored_s=after_s))
    return close(
        held,
        sitting.opened,
        truth,
        sitting.sheet,
        t0=sitting.t0,
        seen=seen,
    )
