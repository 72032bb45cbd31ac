"""Narrowing: what do the counters and gauges of a case say, before it is put into words?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from loomtriage.analysis.gauges import Move, moves
from loomtriage.analysis.increases import Increases, leaves, measure
from loomtriage.analysis.patterns import Pattern, rank
from loomtriage.analysis.surprise import FLOOR_EVENTS, Exposure, exposure
from loomtriage.case import Case
from loomtriage.contract import catalogue
from loomtriage.model import Frame, Scope

COUNTERS = (
    "up",
    "produced",
    "processed",
    "retry_scheduled",
    "terminal_failed",
    "idempotent_noop",
    "owner_mismatch",
    "reclaimed",
    "bulk_requests",
    "bulk_item_failures",
)
GAUGES = ("lag", "oldest_age", "stuck")
FAILING = ("retry", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """Everything that the metrics say, before it is put into words.

    Attributes:
        frame: counters and gauges over baseline and window.
        increases: per series.
        exposure: None without a usable baseline.
        patterns: that pass the gate, best first.
        weak: failing leaves that rose, but by fewer than six events.
        moves: gauges that were compared.
    """

    frame: Frame
    increases: Increases
    exposure: Exposure | None
    patterns: tuple[Pattern, ...]
    weak: pd.DataFrame
    moves: tuple[Move, ...]

    @property
    def blamed(self) -> Pattern | None:
        """The pattern to follow: the strongest that says why work failed, else the strongest."""
        why = [p for p in self.patterns if p.g2 > 0 and dict(p.closed).get("result") in FAILING]
        return next(iter(why or self.patterns), None)

    @property
    def scope(self) -> Scope:
        """Scope of the blamed pattern; of the largest weak leaf when nothing passed."""
        if self.blamed is not None:
            return self.blamed.scope
        if len(self.weak):
            top = self.weak.sort_values("observed", ascending=False).iloc[0]
            pairs = {key: str(top[key]) for key in ("env", "projection", "op", "reason", "result")}
            return Scope().narrow(**pairs)
        return Scope()


def measure_case(case: Case) -> Narrowing:
    """Pull the counters and gauges of the catalogue and rank the label patterns."""
    frame = case.pull_metrics(*COUNTERS, *GAUGES)
    increases = measure(frame, window=case.window, baseline=case.baseline)
    offered = exposure(increases, window=case.window, baseline=case.baseline)
    table = leaves(increases)
    for key in ("env", "projection", "op", "reason", "result"):
        wanted = getattr(case.scope, key)
        table = table[table[key] == wanted] if wanted else table
    table = table.reset_index(drop=True)
    patterns = rank(table, exposure=offered.ratio) if offered else ()
    kept = tuple(p for p in patterns if abs(p.excess) >= FLOOR_EVENTS)
    failing = table["result"].isin(FAILING) & (table["observed"] > 0) & (table["baseline"] == 0)
    moved = tuple(
        move
        for name in GAUGES
        for move in moves(frame, catalogue.BY_ID[name], window=case.window, baseline=case.baseline)
    )
    return Narrowing(
        frame=frame,
        increases=increases,
        exposure=offered,
        patterns=kept,
        weak=table[failing],
        moves=moved,
    )


def onset(found: Narrowing, case: Case) -> datetime | None:
    """First sample in the window at which a failing counter had grown."""
    data = found.frame.data
    names = [catalogue.BY_ID[m].name for m in ("retry_scheduled", "terminal_failed")]
    chosen = data.loc[:, data.columns.get_level_values("metric").isin(names)]
    if chosen.empty:
        return None
    total = chosen.sum(axis=1)
    grown = total.diff().fillna(0.0) > 0
    inside = grown & (data.index >= case.window.start) & (data.index < case.window.end)
    moments = pd.DatetimeIndex(data.index[inside])
    return moments[0].to_pydatetime() if len(moments) else None
