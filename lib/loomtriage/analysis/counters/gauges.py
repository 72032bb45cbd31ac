"""Did a gauge leave the band of its baseline?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from loomtriage.contract.catalogue import BY_ID, Metric
from loomtriage.model import Frame, Window

NO_DEAD: Mapping[str, float] = MappingProxyType({})
MAD_TO_SIGMA = 1.4826
LEAVES_BAND = 4.0
"""Robust z beyond which a gauge has moved (two-sided p ≈ 6e-5 under normality)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One gauge compared with its baseline.

    Attributes:
        metric: catalogue id.
        projection: whose gauge.
        peak: highest value in the window (lowest for gauges where less is worse).
        median: of the baseline.
        z: robust z of the peak: (peak - median) / max(1.4826·MAD, floor).
        bound: end of the band in the direction that is worse, or the catalogue's threshold
            where that is nearer.
        moved: whether the peak lies beyond the bound.
        excused: whether it lies beyond the bound and rows that failed for good explain it.
    """

    metric: str
    projection: str
    peak: float
    median: float
    bound: float
    z: float
    moved: bool
    excused: bool = False


def moves(
    frame: Frame,
    metric: Metric,
    *,
    window: Window,
    baseline: Window | None,
    dead: Mapping[str, float] = NO_DEAD,
) -> tuple[Move, ...]:
    """One move per projection. Workers see the same table, so copies are merged by maximum.

    Workers without a dead-letter gauge count rows that failed for good in their lag and age.
    There `dead`, the rows of each projection that failed so in the window, are no backlog; and
    an age that was past its threshold all along, and a lag that stands still, are the residue of
    older ones.
    """
    if baseline is None or not metric.worse:
        return ()
    data = frame.data
    names = data.columns.get_level_values("metric") == metric.name
    found = []
    for projection in sorted(set(data.columns[names].get_level_values("projection"))):
        mine = names & (data.columns.get_level_values("projection") == projection)
        series = data.loc[:, mine].max(axis=1).dropna()
        now = series[(series.index >= window.start) & (series.index < window.end)]
        then = series[(series.index >= baseline.start) & (series.index < baseline.end)]
        if now.empty or then.empty:
            continue
        median = float(then.median())
        spread = MAD_TO_SIGMA * float(np.median(np.abs(then.to_numpy() - median)))
        spread = max(spread, metric.floor, 1e-9)
        residue = 0.0 if _told_apart(data, projection) else dead.get(projection, 0.0)
        peak = float(now.max() if metric.worse > 0 else now.min())
        live = peak - residue if metric.id == "lag" else peak
        band = median + metric.worse * LEAVES_BAND * spread
        bound = band
        if metric.threshold is not None:  # what was bad before too is no healthy baseline
            bound = metric.worse * min(metric.worse * band, metric.worse * metric.threshold.value)
        beyond = (peak - bound) * metric.worse > 0
        moved = (live - bound) * metric.worse > 0
        if moved and metric.id == "oldest_age" and not _told_apart(data, projection):
            moved = not _stands_still(data, projection, window=window, baseline=baseline)
        found.append(
            Move(
                metric=metric.id,
                projection=projection,
                peak=peak,
                median=median,
                bound=bound,
                z=(live - median) / spread,
                moved=moved,
                excused=beyond and not moved,
            )
        )
    return tuple(found)


def _gauge(data: pd.DataFrame, metric: str, projection: str) -> pd.Series:
    """One gauge of a projection over its workers, merged by maximum; empty where none has it."""
    names = data.columns.get_level_values("metric") == BY_ID[metric].name
    mine = names & (data.columns.get_level_values("projection") == projection)
    return data.loc[:, mine].max(axis=1).dropna()


def _told_apart(data: pd.DataFrame, projection: str) -> bool:
    """Whether the projection's workers count dead letters by themselves."""
    return len(_gauge(data, "dead_letter", projection)) > 0


def _stands_still(data: pd.DataFrame, projection: str, *, window: Window, baseline: Window) -> bool:
    """Age grows by a second a second and lag never leaves its floor: nothing claimable waits."""
    age, lag = _gauge(data, "oldest_age", projection), _gauge(data, "lag", projection)
    before = age[(age.index >= baseline.start) & (age.index < baseline.end)]
    threshold = BY_ID["oldest_age"].threshold
    old = threshold is not None and len(before) > 0 and float(before.min()) > threshold.value
    within = lag[(lag.index >= baseline.start) & (lag.index < window.end)]
    flat = len(within) > 0 and float(within.max() - within.min()) <= BY_ID["lag"].floor
    return old and float(within.min() if flat else 0.0) > 0 and flat
