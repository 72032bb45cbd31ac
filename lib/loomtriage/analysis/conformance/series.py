"""Series: which series of the contract are there, with which labels, odd ones among them?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from loomtriage.analysis.counters.increases import labels_of
from loomtriage.contract.catalogue import BY_WIRE, Metric, MetricType
from loomtriage.contract.demands import MAX_VALUES
from loomtriage.contract.keys import PIVOTS
from loomtriage.contract.targets import TARGET_LABELS
from loomtriage.model.frame import METRIC_LEVELS

_PARTS = ("_bucket", "_count", "_sum")
_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{16,}|\d{9,}", re.IGNORECASE)
_PIVOTS = frozenset(name for key in PIVOTS for name in (key.name, key.attribute, *key.also))


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of a metric of the contract.

    Attributes:
        metric: whose it is; a histogram's parts stand under its own name.
        labels: all of them that the series itself carries, by name.
        resets: how often it fell, 0 for what may fall.
    """

    metric: Metric
    labels: Mapping[str, str]
    resets: int

    @property
    def where(self) -> str:
        """The place that a gap names."""
        return f"metrics {self.metric.name}"

    @property
    def target(self) -> str:
        """Instance that was scraped."""
        return self.labels.get("instance", "")

    @property
    def own(self) -> tuple[tuple[str, str], ...]:
        """What tells it from the others of its target; the buckets of a histogram count once."""
        return tuple(sorted((k, v) for k, v in self.labels.items() if k != "le"))

    @property
    def lacks(self) -> tuple[str, ...]:
        """Labels that the contract demands of the metric and the series does not carry."""
        return tuple(name for name in self.metric.labels if name not in self.labels)

    @property
    def odd(self) -> tuple[str, ...]:
        """Labels that the contract does not know."""
        known = {*self.metric.labels, *TARGET_LABELS, "le", *_PIVOTS}
        return tuple(sorted(set(self.labels) - known))

    @property
    def ids(self) -> tuple[str, ...]:
        """Labels that hold ids."""
        return tuple(
            name
            for name, value in self.labels.items()
            if name in _PIVOTS or (name not in TARGET_LABELS and _ID.search(value))
        )


def read_series(data: pd.DataFrame, inferred: frozenset[str] = frozenset()) -> tuple[Series, ...]:
    """The series of the contract in a METRICS table.

    Args:
        data: METRICS table.
        inferred: labels that the source put there itself, which the series do not carry.
    """
    found = []
    for place, column in enumerate(labels_of(data)):
        levels = dict(zip(METRIC_LEVELS, column, strict=True))
        name, extra = levels.pop("metric"), levels.pop("extra")
        metric = BY_WIRE.get(name) or BY_WIRE.get(_stem(name))
        if metric is None:
            continue
        pairs = (part.partition("=") for part in extra.split(",") if part)
        labels = {**levels, **{key: value for key, _, value in pairs}}
        carried = {k: v for k, v in labels.items() if v and k not in inferred}
        resets = _falls(data, place) if metric.type is not MetricType.GAUGE else 0
        found.append(Series(metric=metric, labels=carried, resets=resets))
    return tuple(found)


def per_target(series: Iterable[Series]) -> dict[tuple[str, str], int]:
    """Metric and target -> how many series."""
    found: dict[tuple[str, str], set[tuple[tuple[str, str], ...]]] = {}
    for one in series:
        found.setdefault((one.metric.name, one.target), set()).add(one.own)
    return {place: len(sets) for place, sets in found.items()}


def crowded(series: Iterable[Series]) -> dict[tuple[str, str], int]:
    """Metric and label -> how many values, where they are too many."""
    found: dict[tuple[str, str], set[str]] = {}
    for one in series:
        for name, value in one.own:
            if name not in TARGET_LABELS:
                found.setdefault((one.metric.name, name), set()).add(value)
    return {k: len(values) for k, values in found.items() if len(values) > MAX_VALUES.value}


def _stem(name: str) -> str:
    return next((name.removesuffix(part) for part in _PARTS if name.endswith(part)), name)


def _falls(data: pd.DataFrame, place: int) -> int:
    values = data.iloc[:, place].to_numpy(dtype="float64")
    return int((np.diff(values[~np.isnan(values)]) < 0).sum())
