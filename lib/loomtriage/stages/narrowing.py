"""Narrowing: what do the counters and gauges of a case say, before it is put into words?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from loomtriage.analysis.counters.folding import Folding, fold, folding
from loomtriage.analysis.counters.gauges import Move, moves
from loomtriage.analysis.counters.increases import Increases, leaves, measure
from loomtriage.analysis.counters.patterns import Pattern, rank
from loomtriage.analysis.surprise import FLOOR_EVENTS, Exposure, exposure
from loomtriage.case import Case
from loomtriage.contract import catalogue
from loomtriage.model import Frame, Scope
from loomtriage.model.frame import SPAN_COLUMNS

COUNTERS = (
    "up",
    "produced",
    "processed",
    "retry_scheduled",
    "terminal_failed",
    "idempotent_noop",
    "owner_mismatch",
    "contention",
    "reclaimed",
    "trace_export_failures",
    "bulk_requests",
    "bulk_item_failures",
    "dead_letter",
)
GAUGES = ("lag", "oldest_age", "stuck")
DATED = ("last_success",)
"""Gauges whose value is a moment by the worker's own clock."""
SCOPE = ("env", "projection", "op", "reason", "result")
END_SLACK = 0.25
"""Share of the window that may lie between a worker's scrapes and the window's ends."""
FAILING = ("retry", "failed")

SIGNS = (
    "retry_scheduled",
    "terminal_failed",
    "owner_mismatch",
    "contention",
    "reclaimed",
    "idempotent_noop",
    "trace_export_failures",
)
"""Counters that stand still while all is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """Everything that the metrics say, before it is put into words.

    Attributes:
        frame: counters and gauges over baseline and window.
        increases: per series, as counted.
        folded: the same with failing attempts counted once per outbox row.
        folding: how many attempts a row cost, and which signal says so.
        lines: the log lines that were pulled to fold by, None where nothing failed.
        exposure: None without a usable baseline.
        patterns: that pass the gate, best first.
        weak: failing leaves that rose, but by fewer than six events.
        moves: gauges that were compared.
        watched: whether every worker was scraped at both ends of the window and in the baseline.
    """

    frame: Frame
    increases: Increases
    folded: Increases
    folding: Folding
    lines: Frame | None
    exposure: Exposure | None
    patterns: tuple[Pattern, ...]
    weak: pd.DataFrame
    moves: tuple[Move, ...]
    watched: bool

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The counters and gauges, and the lines where they were asked for."""
        return (self.frame,) if self.lines is None else (self.frame, self.lines)

    @property
    def failing(self) -> float:
        """Rows that were retried or failed in the window, whatever the baseline had."""
        return sum(self.folded.total(name)[0] for name in ("retry_scheduled", "terminal_failed"))

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
            pairs = {key: str(top[key]) for key in SCOPE}
            return Scope().narrow(**pairs)
        return Scope()


def measure_case(case: Case) -> Narrowing:
    """Pull the counters and gauges of the catalogue and rank the label patterns.

    Log lines, or spans where no line helps, are pulled only when something failed, to count the
    attempts of one row once.
    """
    frame = case.pull_metrics(*COUNTERS, *GAUGES, *DATED)
    increases = measure(frame, window=case.window, baseline=case.baseline)
    failed = any(sum(increases.total(name)) for name in ("retry_scheduled", "terminal_failed"))
    lines = case.pull("lines") if failed else None
    by = _folding(case, lines) if lines is not None else Folding()
    folded = fold(increases, by)
    sampled = increases.samples > 0
    offered = exposure(increases, window=case.window, baseline=case.baseline) if sampled else None
    table = _in_scope(leaves(folded), case.scope)
    patterns = rank(table, exposure=offered.ratio) if offered else ()
    failing = table["result"].isin(FAILING) & (table["observed"] > 0) & (table["baseline"] == 0)
    return Narrowing(
        frame=frame,
        increases=increases,
        folded=folded,
        folding=by,
        lines=lines,
        exposure=offered,
        patterns=tuple(p for p in patterns if abs(p.excess) >= FLOOR_EVENTS),
        weak=table[failing],
        moves=_moves(frame, case, dead=_dead(folded)),
        watched=_watched(frame.data, case),
    )


def failing_rows(case: Case) -> float:
    """Rows that the counters say failed inside the case's scope: as handed over, or measured."""
    left = case.handover.get("failing_rows")
    if isinstance(left, int | float):
        return float(left)
    return rows_in(measure_case(case), case.scope)


def rows_in(found: Narrowing, scope: Scope) -> float:
    """Rows that failed inside the scope's env, projection and op, retries folded."""
    place = Scope(env=scope.env, projection=scope.projection, op=scope.op)
    table = _in_scope(leaves(found.folded), place)
    return float(table.loc[table["result"].isin(FAILING), "observed"].sum())


def _in_scope(table: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    for key in SCOPE:
        wanted = getattr(scope, key)
        table = table[table[key] == wanted] if wanted else table
    return table.reset_index(drop=True)


def _folding(case: Case, lines: Frame) -> Folding:
    """By lines; spans are asked only where lines name no row."""
    none = lines.data.iloc[:0]
    found = folding(lines.data, _NO_SPANS)
    return found if found.by else folding(none, case.pull("spans").data)


_NO_SPANS = pd.DataFrame(columns=list(SPAN_COLUMNS))


def _dead(folded: Increases) -> dict[str, float]:
    """Rows that failed for good in the window, by projection."""
    sums = folded.of("terminal_failed").groupby(level="projection")["observed"].sum()
    return {str(projection): float(rows) for projection, rows in sums.items()}


def _moves(frame: Frame, case: Case, *, dead: Mapping[str, float]) -> tuple[Move, ...]:
    return tuple(
        move
        for name in GAUGES
        for move in moves(
            frame, catalogue.BY_ID[name], window=case.window, baseline=case.baseline, dead=dead
        )
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
    """First sample in the window at which something left what the baseline knows.

    That is a counter of trouble that had stood still before, or a gauge beyond its bound.
    """
    data = found.frame.data
    inside = (data.index >= case.window.start) & (data.index < case.window.end)
    steps = [_growth(data, catalogue.BY_ID[name].name) for name in SIGNS]
    begun = [step & inside for step in steps if not (step & ~inside).any()]
    begun += [
        (_highest(data, catalogue.BY_ID[move.metric].name, move.projection) > move.bound) & inside
        for move in found.moves
        if move.moved
    ]
    moments = [pd.DatetimeIndex(data.index[one])[0] for one in begun if one.any()]
    return min(moments).to_pydatetime() if moments else None


def _growth(data: pd.DataFrame, name: str) -> pd.Series:
    """At which samples a counter had grown, over all its series (bool, same index)."""
    chosen = data.loc[:, data.columns.get_level_values("metric") == name]
    total = chosen.ffill().sum(axis=1)  # instances are scraped at offsets of their own
    return total.diff().fillna(0.0) > 0


def _highest(data: pd.DataFrame, name: str, projection: str) -> pd.Series:
    """A gauge of one projection: every worker shows the same table, so the highest counts."""
    levels = data.columns.get_level_values
    chosen = (levels("metric") == name) & (levels("projection") == projection)
    return data.loc[:, chosen].max(axis=1)
