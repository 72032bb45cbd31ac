"""Which reasons ended more attempts than the baseline predicts, each row counted once?

The counters say so. Where there are none, log lines do, or else row spans: they name the row, the
reason and the result of each attempt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from loomtriage.analysis.counters.folding import attempts_in_lines, attempts_in_spans
from loomtriage.analysis.counters.increases import Increases
from loomtriage.analysis.surprise import FLOOR_EVENTS, gate, signed_g2
from loomtriage.contract import catalogue
from loomtriage.contract.reasons import canonical

Told = tuple[pd.DataFrame | None, pd.DataFrame | None]
"""Lines and spans of one window; a signal that is missing is None."""
NOT_BLAMED = ("", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """How many rows one reason ended an attempt of, each row counted once.

    Attributes:
        reason: canonical reason.
        result: `retry` or `failed`.
        observed, expected: rows in the window, and what the baseline predicts.
        strong: at least six extra rows and past the gate.
        projections: whose rows.
    """

    reason: str
    result: str
    observed: float
    expected: float = 0.0
    strong: bool = False
    projections: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.observed:.0f} × {self.result} with {self.reason} ({self.expected:.1f} expected)"
        )


def counted(increases: Increases, *, exposure: float, status: int | None) -> tuple[Blame, ...]:
    """Reasons by the counters, in rows (`increases` are folded ones).

    `status` is the one HTTP status that tells `es_4xx` apart, None where there is no such.
    """
    found: list[Blame] = []
    for metric in ("retry_scheduled", "terminal_failed"):
        rows = increases.of(metric)
        by_reason = rows.groupby(level="reason").sum()
        for name, row in by_reason.iterrows():
            reason = canonical(str(name), status=status)
            if reason in NOT_BLAMED or row["observed"] <= 0:
                continue
            blame = _weighed(
                Blame(
                    reason=reason,
                    result=catalogue.BY_ID[metric].result,
                    observed=float(row["observed"]),
                    projections=_projections(rows, str(name)),
                ),
                float(row["baseline"]),
                exposure=exposure,
                tests=len(by_reason),
            )
            found += [blame] if blame.strong or blame.expected == 0 else []
    return _ranked(found)


def _projections(rows: pd.DataFrame, reason: str) -> tuple[str, ...]:
    mine = rows[(rows.index.get_level_values("reason") == reason) & (rows["observed"] > 0)]
    return tuple(sorted(set(mine.index.get_level_values("projection")) - {""}))


def told(now: Told, before: Told, *, exposure: float, status: int | None) -> tuple[Blame, ...]:
    """Reasons by what lines, or else spans, tell of rows; empty where neither names any."""
    seen, earlier = _attempts(*now), _attempts(*before)
    if seen.empty:
        return ()
    groups = seen.groupby(["reason", "result"])
    past = earlier.groupby(["reason", "result"])["row"].nunique()
    found = []
    for (name, result), group in groups:
        reason = canonical(str(name), status=status)
        if reason in NOT_BLAMED:
            continue
        blame = _weighed(
            Blame(
                reason=reason,
                result=str(result),
                observed=float(group["row"].nunique()),
                projections=tuple(sorted(set(group["projection"]) - {""})),
            ),
            float(past.get((name, result), 0.0)),
            exposure=exposure,
            tests=len(groups),
        )
        found += [blame] if blame.strong or blame.expected == 0 else []
    return _ranked(found)


def _attempts(lines: pd.DataFrame | None, spans: pd.DataFrame | None) -> pd.DataFrame:
    """Attempts as lines tell them; as spans do where no line gives a reason."""
    by_lines = attempts_in_lines(lines)
    return by_lines if (by_lines["reason"] != "").any() else attempts_in_spans(spans)


def _weighed(blame: Blame, baseline: float, *, exposure: float, tests: int) -> Blame:
    """The blame with what the baseline predicts, and whether it is beyond chance."""
    expected = baseline * exposure
    g2 = signed_g2(blame.observed, baseline, exposure=exposure)
    strong = blame.observed - expected >= FLOOR_EVENTS and g2 > gate(tests)
    return replace(blame, expected=expected, strong=strong)


def _ranked(found: Iterable[Blame]) -> tuple[Blame, ...]:
    return tuple(sorted(found, key=lambda b: (-b.strong, -b.observed, b.reason)))
