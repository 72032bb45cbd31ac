"""Which services' clocks disagree, and how is a trace drawn although they do?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from loomtriage.analysis.steps.forest import Floats, Forest, grow, nearest

TOLERATED_S = 0.001
"""A child may seem to start this much before its parent: clocks tick in steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skew:
    """Spans of one service that start before their parent in another.

    Attributes:
        service: the service whose spans seem too early.
        spans, n: how many of them, and all its spans under a parent of another service.
        most_s: the largest lead, in seconds.
    """

    service: str
    spans: int
    n: int
    most_s: float

    def __str__(self) -> str:
        return (
            f"clocks disagree: {self.spans} of {self.n} spans of {self.service} start up to "
            f"{self.most_s:.3f} s before their parent; charts show them shifted."
        )


def skews(spans: pd.DataFrame) -> tuple[Skew, ...]:
    """Services whose spans start before their callers', the largest lead first."""
    if spans.empty:
        return ()
    forest = grow(spans)
    services = spans["service"].to_numpy()[forest.rows]
    lead = _leads(forest, services)
    crossing = ~np.isnan(lead)
    found = []
    for service in dict.fromkeys(services[crossing & (lead > TOLERATED_S)]):
        mine = lead[crossing & (services == service)]
        early = mine[mine > TOLERATED_S]
        found.append(
            Skew(service=str(service), spans=len(early), n=len(mine), most_s=float(early.max()))
        )
    return tuple(sorted(found, key=lambda skew: (-skew.most_s, skew.service)))


def aligned(trace: pd.DataFrame) -> pd.DataFrame:
    """The spans of one trace with early services shifted into their callers, for drawing only.

    What hangs below a shifted span moves with it. Numbers are never computed from this table.
    """
    if trace.empty:
        return trace
    forest = grow(trace)
    lead = _leads(forest, trace["service"].to_numpy()[forest.rows])
    early = np.where(np.nan_to_num(lead) > TOLERATED_S, np.arange(len(forest)), -1)
    if not (early >= 0).any():
        return trace
    anchor = nearest(early, forest.parent)
    room = forest.duration_s[forest.parent] - forest.duration_s
    move = np.where(early >= 0, np.nan_to_num(lead) + room.clip(min=0.0) / 2, 0.0)
    shift = np.where(anchor >= 0, move[anchor], 0.0)
    kept = trace.iloc[forest.rows]
    return kept.assign(start=kept["start"] + pd.to_timedelta(shift, unit="s"))


def _leads(forest: Forest, services: np.ndarray[tuple[int], np.dtype[np.object_]]) -> Floats:
    """Seconds by which a span starts before its parent of another service; NaN elsewhere."""
    above = forest.parent
    crossing = (above >= 0) & (services != services[above])
    return np.where(crossing, forest.start_s[above] - forest.start_s, np.nan)
