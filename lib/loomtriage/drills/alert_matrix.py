"""Alert matrix: did each drill raise the alerts meant for it, and no other?

An alert counts as raised when it fired between apply and revert. One that had fired before, from
the drill before this one in the same lab, is no offence, but it satisfies what must fire: it did.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from loomtriage.contract.alerts import ALERTS
from loomtriage.contract.rules import Alert
from loomtriage.drills.result import RESULT_FILE
from loomtriage.report import loose


class Cell(StrEnum):
    """What one drill has to do with one alert; the value is how the matrix prints it."""

    SILENT = "."
    FIRED = "F"
    MAY = "f"
    MISSED = "MISSED"
    ALARM = "ALARM"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """What one recorded drill raised.

    Attributes:
        drill: its id.
        fired: alerts that fired while the fault stood.
        older: those of them that had fired before.
    """

    drill: str
    fired: frozenset[str]
    older: frozenset[str]


def read_raised(folder: Path) -> tuple[Raised, ...]:
    """What the drills in a folder of run folders raised; runs that did not look are left out."""
    return tuple(_raised(folder))


def _raised(folder: Path) -> Iterator[Raised]:
    for path in sorted(folder.glob(f"*/{RESULT_FILE}")):
        result = loose.mapping(json.loads(path.read_text(encoding="utf-8")))
        if "alerts" not in result or not result.get("witness"):
            continue
        fired = [alert for alert in loose.maps(result["alerts"]) if alert.get("firing_at")]
        yield Raised(
            drill=loose.word(result, "id"),
            fired=frozenset(loose.word(alert, "name") for alert in fired),
            older=frozenset(loose.word(alert, "name") for alert in fired if alert.get("older")),
        )


def cell(alert: Alert, one: Raised) -> Cell:
    """What this drill did about this alert, compared with what the alert says of itself."""
    if one.drill in alert.fires_in:
        return Cell.FIRED if alert.name in one.fired else Cell.MISSED
    if alert.name not in one.fired - one.older:
        return Cell.SILENT
    return Cell.MAY if one.drill in alert.may_fire_in else Cell.ALARM


def offences(raised: Iterable[Raised]) -> tuple[str, ...]:
    """What should not be, one sentence each."""
    says = {
        Cell.MISSED: "{alert} did not fire in {drill}, which is meant for it.",
        Cell.ALARM: "{alert} fired in {drill}, and nothing says why it may.",
    }
    return tuple(
        says[found].format(alert=alert.name, drill=one.drill)
        for one in raised
        for alert in ALERTS
        if (found := cell(alert, one)) in says
    )


def lines(raised: Iterable[Raised]) -> Iterator[str]:
    """The matrix as text: a line a drill, a column an alert, numbered below."""
    yield " " * 26 + " ".join(f"{number:>6}" for number in range(1, len(ALERTS) + 1))
    for one in raised:
        cells = " ".join(f"{cell(alert, one).value:>6}" for alert in ALERTS)
        yield f"{one.drill:<26}{cells}"
    for number, alert in enumerate(ALERTS, start=1):
        yield f"{number:>3}  {alert.name}"


def unproven(raised: Iterable[Raised]) -> Mapping[str, tuple[str, ...]]:
    """Alert -> drills meant for it, where none of these is among the runs."""
    done = {one.drill for one in raised}
    return {
        alert.name: alert.fires_in
        for alert in ALERTS
        if alert.fires_in and not done & set(alert.fires_in)
    }
