"""Grounds: which of a trainee's pointers lead to something that shows the fault?

A pointer is a metric's id, a trace id, or the SHA-256 of a log line. It counts for its signal when
the round's own telemetry holds it and it shows trouble; three signals make the whole ground, or
as many as can show this fault at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from loomtriage.case import Case
from loomtriage.contract.catalogue import BY_ID, MetricType
from loomtriage.train.score import Proven

LEAST_RISE = 1.0
SHORTEST = 8
"""Characters of an id or hash that are enough to find it."""


def prove(case: Case, pointers: Sequence[str], *, promised: Sequence[str] = ()) -> Proven:
    """Resolve pointers in a round's telemetry.

    Args:
        case: opened on the round, its window the fault's.
        pointers: as given; what leads nowhere is counted and does not count.
        promised: ids of metrics that this fault moves, beside those that count trouble.
    """
    moved = frozenset(promised) | frozenset(rising(case))
    able = _able(case, moved)
    if not able:
        return Proven(says="No signal of this round can show it.")
    hits = sorted({_shows(case, word, moved) for word in pointers} & set(able))
    return Proven(
        grounded=len(hits) / len(able),
        says=f"{len(hits)} of {len(able)} signals shown ({', '.join(hits) or 'none'}); "
        f"{len(pointers)} pointer(s) given.",
    )


def rising(case: Case) -> Mapping[str, float]:
    """Counters of trouble that rose in the window: their increase, by catalogue id."""
    wanted = {
        metric.name: metric.id
        for metric in BY_ID.values()
        if metric.worse > 0 and metric.type is MetricType.COUNTER
    }
    data = case.pull_metrics(*wanted.values()).data
    found: dict[str, float] = {}
    for column in data.columns:
        name = wanted[str(column[data.columns.names.index("metric")])]
        found[name] = found.get(name, 0.0) + _rise(data[column].dropna(), case)
    return {name: rise for name, rise in found.items() if rise >= LEAST_RISE}


def _rise(series: pd.Series, case: Case) -> float:
    before = series.loc[series.index < case.window.start]
    inside = series.loc[(series.index >= case.window.start) & (series.index < case.window.end)]
    # A series that begins inside the window rose from nothing.
    start = before.iloc[-1:] if len(before) else pd.Series([0.0])
    return float(pd.concat([start, inside]).diff().clip(lower=0).sum())


def _able(case: Case, moved: frozenset[str]) -> tuple[str, ...]:
    """Signals in which something stands out in this round."""
    spans, lines = case.pull("spans").data, case.pull("lines").data
    found = {
        "metrics": bool(moved),
        "traces": len(spans) > 0 and bool(spans["error"].any()),
        "logs": len(lines) > 0 and bool(_troubled(lines, case).any()),
    }
    return tuple(signal for signal, is_there in found.items() if is_there)


def _shows(case: Case, word: str, moved: frozenset[str]) -> str:
    """The signal that a pointer proves something in, empty when it leads nowhere."""
    name = word.rpartition(":")[2]
    if name in BY_ID:
        return "metrics" if name in moved else ""
    if len(name) < SHORTEST:
        return ""
    spans, lines = case.pull("spans").data, case.pull("lines").data
    if len(spans) and bool((spans["trace_id"].str.startswith(name) & spans["error"]).any()):
        return "traces"
    if len(lines) and bool((lines["sha256"].str.startswith(name) & _troubled(lines, case)).any()):
        return "logs"
    return ""


def _troubled(lines: pd.DataFrame, case: Case) -> pd.Series:
    is_loud = lines["level"].isin(["WARNING", "ERROR", "CRITICAL"])
    return is_loud & (lines["ts"] >= case.window.start) & (lines["ts"] < case.window.end)
