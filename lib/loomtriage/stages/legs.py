"""Legs: which signals can be stood on, which are missing or contaminated, and by what?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from loomtriage.case import Case
from loomtriage.contract.spans import CLAIM
from loomtriage.model import Finding, Frame, Signal, State
from loomtriage.stages.preflight_tracing import excuse_of
from loomtriage.stages.result import damage_of

SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One signal as something to stand on.

    Attributes:
        signal: which.
        missing: why there is nothing, empty when it answered.
        contaminated: what is in it that belongs elsewhere or is left out of it.
    """

    signal: Signal
    missing: str = ""
    contaminated: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.signal}: {self.missing or '; '.join(self.contaminated[:SHOWN])}"


def legs_of(  # noqa: PLR0913  (the four signals, and what explains a gap)
    case: Case, *, metrics: Frame, spans: Frame, lines: Frame, rows: Frame, clocks: str = ""
) -> tuple[Leg, ...]:
    """The four signals in the order of the path.

    `clocks` tells which are so far off that no span lies in the window; lines that say why there
    is none come first.
    """
    whole = case.evidence.caveats
    told_by_rows = [text for text in whole if text.startswith("foreign")]
    return (
        _leg(
            Signal.METRICS,
            metrics,
            [*(text for text in whole if text.startswith("contaminated")), *damage_of(metrics)],
            missing="" if case.baseline else "there is no baseline",
        ),
        _leg(
            Signal.TRACES,
            spans,
            [*told_by_rows, *damage_of(spans), *_outside(spans.data, case)],
            missing=_claims_only(spans.data),
            instead=excuse_of(clocks, lines.data) if spans.missing == "empty" else "",
        ),
        _leg(
            Signal.LOGS,
            lines,
            damage_of(lines),
            missing=_no_events(lines.data),
        ),
        _leg(Signal.ROWS, rows, damage_of(rows)),
    )


def leg_findings(legs: Iterable[Leg]) -> tuple[Finding, ...]:
    """A warning for each contaminated leg; a missing one was reported by preflight."""
    return tuple(
        Finding(
            check=f"explain.leg.{leg.signal}",
            state=State.WARN,
            says=f"{leg.signal} are contaminated: {'; '.join(leg.contaminated[:SHOWN])}"[:400],
            value=float(len(leg.contaminated)),
            unit="contaminations",
            threshold=0.0,
        )
        for leg in legs
        if leg.contaminated
    )


def unsound(legs: Iterable[Leg]) -> tuple[str, ...]:
    """Each leg that cannot be stood on, and why, one sentence each."""
    return tuple(str(leg) for leg in legs if leg.missing or leg.contaminated)


def _leg(
    signal: Signal, frame: Frame, found: Iterable[str], *, missing: str = "", instead: str = ""
) -> Leg:
    why = f"{frame.missing or 'empty'}. {instead or frame.hint}".strip(" .")
    gone = why if not len(frame) else missing
    return Leg(signal=signal, missing=gone, contaminated=tuple(dict.fromkeys(found)))


def _outside(spans: pd.DataFrame, case: Case) -> list[str]:
    if spans.empty:
        return []
    early = int((spans["start"] < case.window.start).sum())
    late = int((spans["start"] >= case.window.end).sum())
    return [f"{early + late} of {len(spans)} spans lie outside the window"] if early + late else []


def _claims_only(spans: pd.DataFrame) -> str:
    """A list of newest claims is full of empty ones, and shows no work at all."""
    roots = spans[spans["parent_id"] == ""] if len(spans) else spans
    claims = roots[roots["operation"] == CLAIM]
    if claims.empty or len(claims) < len(roots):
        return ""
    empty = sum(str(a.get("claimed", "0")) in ("0", "0.0") for a in claims["attributes"])
    return f"only claims were traced, {empty} of {len(claims)} of them empty"


def _no_events(lines: pd.DataFrame) -> str:
    return "" if lines.empty or (lines["event"] != "").any() else "no line is a structured event"
