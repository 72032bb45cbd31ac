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
END_SLACK = 0.25
"""Share of the window that may lie between a worker's scrapes and the window's ends."""
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
        watched: whether every worker was scraped at both ends of the window and in the baseline.
    """

    frame: Frame
    increases: Increases
    exposure: Exposure | None
    patterns: tuple[Pattern, ...]
    weak: pd.DataFrame
    moves: tuple[Move, ...]
    watched: bool

    @property
    def failing(self) -> float:
        """Attempts that were retried or failed in the window, whatever the baseline had."""
        totals = (self.increases.total(name)[0] for name in ("retry_scheduled", "terminal_failed"))
        return sum(totals)

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
    sampled = increases.samples > 0
    offered = exposure(increases, window=case.window, baseline=case.baseline) if sampled else None
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
        watched=_watched(frame.data, case),
    )


def _watched(data: pd.DataFrame, case: Case) -> bool:
    """A worker that fell silent keeps its last value, which looks like peace."""
    names = data.columns.get_level_values("metric") == catalogue.BY_ID["processed"].name
    work = data.loc[:, names]
    if work.empty or case.baseline is None:
        return False
    slack = pd.Timedelta(seconds=case.window.seconds * END_SLACK)
    for column in range(work.shape[1]):
        seen = work.iloc[:, column].dropna().index
        inside = seen[(seen >= case.window.start) & (seen < case.window.end)]
        before = seen[(seen >= case.baseline.start) & (seen < case.baseline.end)]
        if not len(inside) or not len(before):
            return False
        if inside[0] > case.window.start + slack or inside[-1] < case.window.end - slack:
            return False
    return True


def onset(found: Narrowing, case: Case) -> datetime | None:
    """First sample in the window at which a failing counter had grown."""
    data = found.frame.data
    names = [catalogue.BY_ID[m].name for m in ("retry_scheduled", "terminal_failed")]
    chosen = data.loc[:, data.columns.get_level_values("metric").isin(names)]
    if chosen.empty:
        return None
    total = chosen.ffill().sum(axis=1)  # instances are scraped at offsets of their own
    grown = total.diff().fillna(0.0) > 0
    inside = grown & (data.index >= case.window.start) & (data.index < case.window.end)
    moments = pd.DatetimeIndex(data.index[inside])
    return moments[0].to_pydatetime() if len(moments) else None
