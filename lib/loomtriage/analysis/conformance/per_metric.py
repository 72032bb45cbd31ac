"""Per metric: what did each metric of the catalogue show, and what is wrong with it?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from loomtriage.analysis.conformance.series import Series, crowded, per_target, read_series
from loomtriage.contract.catalogue import METRICS, Metric, MetricType
from loomtriage.contract.demands import BULK_FAMILY, MAX_SERIES
from loomtriage.contract.targets import TARGET_LABELS
from loomtriage.model import State


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSeen:
    """What was seen of one metric.

    Attributes:
        metric: of the catalogue.
        is_asked: whether it was asked for; what nobody asked for is not missed.
        absent: why nothing of it was seen; empty where something was.
        targets: how many of them have it.
        most: series on the target that has most, the buckets of a histogram once.
        missing, unexpected, ids: names of labels that some series lacks, has too many, or fills
            with ids.
        crowded: labels with too many values, and how many.
        resets: how often a series of it fell; None for a gauge, which may.
    """

    metric: Metric
    is_asked: bool = True
    absent: str = ""
    targets: int = 0
    most: int = 0
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    crowded: tuple[tuple[str, int], ...] = ()
    resets: int | None = None

    @property
    def state(self) -> State:
        """NO_DATA where it is absent; BAD for ids and far too many series; WARN for the rest."""
        if self.absent:
            return State.NO_DATA
        if self.ids or self.crowded or self.most > MAX_SERIES.value:
            return State.BAD
        return State.WARN if self.missing or self.unexpected or self.resets else State.OK


def each_metric(
    data: pd.DataFrame,
    *,
    asked: frozenset[str],
    inferred: frozenset[str] = frozenset(),
    since: datetime | None = None,
) -> tuple[MetricSeen, ...]:
    """Every metric of the catalogue, in its order.

    Args:
        data: METRICS table, empty where there are no metrics.
        asked: ids that were asked for.
        inferred: labels that the source put there itself, which the series do not carry.
        since: what has no sample from here on (aware UTC) is absent; any sample counts by default.
    """
    series = read_series(data, inferred)
    seen = frozenset(one.metric.id for one in series)
    rows = tuple(_one(metric, series, asked=asked, seen=seen) for metric in METRICS)
    if since is None:
        return rows
    late = data.loc[since:].dropna(axis="columns", how="all")
    living = {one.metric.id for one in read_series(late, inferred)}
    over = "its samples end before the window begins"
    return tuple(
        row if row.absent or row.metric.id in living else replace(row, absent=over) for row in rows
    )


def _one(
    metric: Metric, series: tuple[Series, ...], *, asked: frozenset[str], seen: frozenset[str]
) -> MetricSeen:
    mine = tuple(one for one in series if one.metric is metric)
    if not mine:
        why = _why(metric, asked=asked, seen=seen)
        return MetricSeen(metric=metric, is_asked=metric.id in asked, absent=why)
    counts = per_target(mine)
    places = {name for one in mine for name in TARGET_LABELS if name not in one.labels}
    return MetricSeen(
        metric=metric,
        targets=len(counts),
        most=max(counts.values()),
        missing=tuple(sorted(places | {name for one in mine for name in one.lacks})),
        unexpected=tuple(sorted({name for one in mine for name in one.odd})),
        ids=tuple(sorted({name for one in mine for name in one.ids})),
        crowded=tuple(sorted((label, count) for (_, label), count in crowded(mine).items())),
        resets=None if metric.type is MetricType.GAUGE else sum(one.resets for one in mine),
    )


def _why(metric: Metric, *, asked: frozenset[str], seen: frozenset[str]) -> str:
    if metric.id not in asked:
        return "the recording holds no histograms"
    if not seen:
        return "no metric is there"
    if metric.id in BULK_FAMILY and not seen & BULK_FAMILY:
        return "no metric of bulk mode is there: workers go row by row, or none runs"
    if metric.type is MetricType.GAUGE:
        return "no target exposes it"
    return "no target exposes it, or nothing was counted yet"
