"""Latency: how long after the fault was witnessed did each signal show it?

The witness is the zero: it rests on no signal. It looks only now and then, metrics are scraped
now and then, so each moment says how far off it may be; what was seen before the witness had
looked is negative. What nobody saw is empty, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from loomtriage.drills.record import Step
from loomtriage.lab.servers.prometheus import EVALUATE_S, SCRAPE_S
from loomtriage.model import Signal
from loomtriage.model.window import iso
from loomtriage.report import loose

WITNESS = "witness"
APPLIED = "fault applied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When one signal first showed the fault.

    Attributes:
        name: what was seen, in words.
        signal: which signal showed it, None for the drill's own moments.
        at: aware UTC, None when it was not seen.
        after_s: seconds after the witness, None when either was not seen.
        within_s: seconds that `after_s` may be off.
    """

    name: str
    signal: Signal | None
    at: datetime | None
    after_s: float | None = None
    within_s: float | None = None

    def as_json(self) -> dict[str, object]:
        """The form that a drill's report reads."""
        return {
            "name": self.name,
            "signal": self.signal.value if self.signal else "",
            "at": iso(self.at) if self.at else "",
            "after_s": self.after_s,
            "within_s": self.within_s,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One thing that a run may show: its key in the handover, and how well it is dated.

    Attributes:
        every_s: seconds between two looks of whoever dates it, 0 for what carries its own time.
        is_asked: whether every run looks for it; other rows are there only when a run did.
    """

    key: str
    name: str
    signal: Signal
    every_s: float = 0.0
    is_asked: bool = True


def _alert(state: str) -> Sight:
    """A rule sees what was scraped, when it is evaluated; not every system has rules."""
    return Sight(
        key=f"alert_{state}",
        name=f"alert {state}",
        signal=Signal.METRICS,
        every_s=SCRAPE_S + EVALUATE_S,
        is_asked=False,
    )


SIGHTS: tuple[Sight, ...] = (
    Sight(key="metric_onset", name="metric moved", signal=Signal.METRICS, every_s=SCRAPE_S),
    _alert("pending"),
    _alert("firing"),
    Sight(key="first_error_span", name="first error span", signal=Signal.TRACES),
    Sight(key="first_error_line", name="first error line", signal=Signal.LOGS),
)
"""In the order in which the stages look."""


def measure_latency(drill: Mapping[str, object], left: Mapping[str, object]) -> tuple[Moment, ...]:
    """The moments of one performance, the drill's own two first.

    Args:
        drill: content of `drill.json`; phases and witness are read.
        left: what the stages of the blind triage handed over, merged.
    """
    applied, witnessed = _spans(drill)
    zero, look_s = None, 0.0
    if witnessed and applied:
        # The fault may have stood since apply began; the witness says so when its look ends.
        zero, look_s = witnessed[1], (witnessed[1] - applied[0]).total_seconds()
    own = (
        _moment(APPLIED, applied[1] if applied else None, zero=zero, within_s=look_s),
        _moment(WITNESS, zero, zero=zero, within_s=look_s),
    )
    sights = tuple(
        _moment(
            sight.name,
            loose.instant(left.get(sight.key)),
            zero=zero,
            within_s=look_s + sight.every_s,
            signal=sight.signal,
        )
        for sight in SIGHTS
        if sight.is_asked or sight.key in left
    )
    return (*own, *sights)


def _moment(
    name: str,
    at: datetime | None,
    *,
    zero: datetime | None,
    within_s: float,
    signal: Signal | None = None,
) -> Moment:
    if at is None or zero is None:
        return Moment(name=name, signal=signal, at=at)
    after_s = round((at - zero).total_seconds(), 3)
    return Moment(name=name, signal=signal, at=at, after_s=after_s, within_s=round(within_s, 3))


_Ends = tuple[datetime, datetime]


def _spans(drill: Mapping[str, object]) -> tuple[_Ends | None, _Ends | None]:
    """Begin and end of apply and of the witness's look, the latter only when it saw something."""
    ends = {
        loose.word(phase, "name"): (at, at + timedelta(seconds=float(seconds)))
        for phase in loose.maps(drill.get("phases"))
        if (at := loose.instant(phase.get("at")))
        and isinstance(seconds := phase.get("seconds"), int | float)
    }
    looked = ends.get(Step.VERIFIED.value) if loose.items(drill.get("witness")) else None
    return ends.get(Step.APPLIED.value), looked
