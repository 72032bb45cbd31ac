"""Did a gauge leave the band of its baseline?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loomtriage.contract.catalogue import Metric
from loomtriage.model import Frame, Window

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
    """

    metric: str
    projection: str
    peak: float
    median: float
    bound: float
    z: float
    moved: bool


def moves(
    frame: Frame, metric: Metric, *, window: Window, baseline: Window | None
) -> tuple[Move, ...]:
    """One move per projection. Workers see the same table, so copies are merged by maximum."""
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
        peak = float(now.max() if metric.worse > 0 else now.min())
        spread = max(spread, metric.floor, 1e-9)
        z = (peak - median) / spread
        bound = median + metric.worse * LEAVES_BAND * spread
        if metric.threshold is not None:  # what was bad before too is no healthy baseline
            bound = metric.worse * min(metric.worse * bound, metric.worse * metric.threshold.value)
        moved = (peak - bound) * metric.worse > 0
        found.append(
            Move(
                metric=metric.id,
                projection=projection,
                peak=peak,
                median=median,
                bound=bound,
                z=z,
                moved=moved,
            )
        )
    return tuple(found)
