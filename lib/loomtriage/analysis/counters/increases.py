"""By how much did each counter grow in a window, resets and newborn series included?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd

from loomtriage.contract import catalogue
from loomtriage.model import Frame, Window
from loomtriage.model.frame import METRIC_LEVELS

Floats: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
Places: TypeAlias = np.ndarray[tuple[int], np.dtype[np.intp]]
Mask: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.bool_]]

LEAF_KEYS = ("env", "projection", "op", "reason", "result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Increases:
    """Increase of every counter series in two windows.

    Attributes:
        table: index = MultiIndex over `METRIC_LEVELS`; float columns `observed` (in the window)
            and `baseline` (in the baseline), both in the counter's unit.
        samples: of the fuller series, in the window that had fewer.
        caveats: resets seen and first values not counted, one sentence each.
    """

    table: pd.DataFrame
    samples: int
    caveats: tuple[str, ...]

    def of(self, metric: str) -> pd.DataFrame:
        """Rows of one metric by its catalogue id."""
        name = catalogue.BY_ID[metric].name
        keep = self.table.index.get_level_values("metric") == name
        return self.table[keep]

    def total(self, metric: str, **labels: str) -> tuple[float, float]:
        """Sum of one metric (observed, baseline) over the series with these labels."""
        rows = self.of(metric)
        for level, value in labels.items():
            rows = rows[rows.index.get_level_values(level) == value]
        return float(rows["observed"].sum()), float(rows["baseline"].sum())


def measure(frame: Frame, *, window: Window, baseline: Window | None) -> Increases:
    """Increases per counter series; without a baseline its column is zero.

    A drop in a counter is a restart: the value after it counts from zero. A series that appears
    while its instance was already being scraped was born at zero, so its first value counts too
    (client libraries create a labelled series on first use). Where the target was down before,
    the first value is not counted, and a caveat says so.
    """
    data, labels = frame.data, labels_of(frame.data)
    values, moments = data.to_numpy(dtype="float64"), data.index
    there = ~np.isnan(values)
    inside = [
        (moments >= part.start) & (moments < part.end) if part else np.zeros(len(moments), bool)
        for part in (window, baseline)
    ]
    counters, observed, before, caveats = [], [], [], []
    first_seen, ups = _first_seen(labels, there), _ups(labels)
    for place, column in enumerate(labels):
        if not _is_counter(column[0]):
            continue
        own = np.flatnonzero(there[:, place])
        up = ups.get(column[1])
        downs = np.flatnonzero(there[:, up] & (values[:, up] == 0)) if up is not None else own[:0]
        steps, note = _steps(values[own, place], own, first_seen.get(column[1]), downs)
        if note:
            caveats.append(f"{column[0]} on {column[1]}: {note}.")
        counters.append(column)
        observed.append(float(steps[inside[0][own]].sum()))
        before.append(float(steps[inside[1][own]].sum()))
    index = pd.MultiIndex.from_tuples(counters, names=METRIC_LEVELS)
    table = pd.DataFrame({"observed": observed, "baseline": before}, index=index, dtype="float64")
    return Increases(
        table=table,
        samples=_fewest_samples(data, window, baseline),
        caveats=tuple(dict.fromkeys(caveats)),
    )


def leaves(increases: Increases) -> pd.DataFrame:
    """One row per observed label tuple of the work counters: `LEAF_KEYS` + observed, baseline.

    `outbox_failed_total` is left out: it is the sum of retry and terminal.
    """
    parts = []
    for metric in catalogue.METRICS:
        if metric.result and metric.id in ("processed", "retry_scheduled", "terminal_failed"):
            rows = increases.of(metric.id).reset_index()
            rows["result"] = metric.result
            rows["reason"] = rows["reason"].replace("", "none")
            parts.append(rows[[*LEAF_KEYS, "observed", "baseline"]])
    if not parts:
        return pd.DataFrame(columns=[*LEAF_KEYS, "observed", "baseline"])
    grouped = pd.concat(parts).groupby(list(LEAF_KEYS), as_index=False).sum()
    return grouped[(grouped["observed"] > 0) | (grouped["baseline"] > 0)].reset_index(drop=True)


def labels_of(data: pd.DataFrame) -> list[tuple[str, ...]]:
    """Column labels of a METRICS table as plain tuples, in column order."""
    return [tuple(str(part) for part in column) for column in data.columns.to_list()]


def _is_counter(name: str) -> bool:
    metric = catalogue.BY_WIRE.get(name)
    return metric is not None and metric.type is catalogue.MetricType.COUNTER


def _steps(
    values: Floats, places: Places, first_sample: int | None, downs: Places
) -> tuple[Floats, str]:
    """Increase that each sample adds, and a note when something had to be assumed.

    Samples are told by their places in time: its own, the first of its instance, and those at
    which the instance was down.
    """
    if not len(values):
        return values, ""
    diffs = np.diff(values, prepend=values[0])
    resets = diffs < 0
    diffs = np.where(resets, values, diffs)
    note = "the counter was reset, the value after it counts from zero" if resets.any() else ""
    born_late = first_sample is not None and places[0] > first_sample
    if born_late and values[0] > 0:
        if (downs < places[0]).any():
            note = "the target was down before its first sample, whose value is not counted"
        else:
            diffs[0] = values[0]
    return diffs, note


def _first_seen(labels: list[tuple[str, ...]], there: Mask) -> dict[str, int]:
    """Place of the first sample of each instance: targets are scraped at offsets of their own."""
    first: dict[str, int] = {}
    for column, seen in zip(labels, there.T, strict=True):
        if seen.any():
            place = int(seen.argmax())
            first[column[1]] = min(place, first.get(column[1], place))
    return first


def _ups(labels: list[tuple[str, ...]]) -> dict[str, int]:
    """Which column tells whether an instance was up; the first of its series counts."""
    found: dict[str, int] = {}
    for place, column in enumerate(labels):
        if column[0] == "up":
            found.setdefault(column[1], place)
    return found


def _fewest_samples(data: pd.DataFrame, window: Window, baseline: Window | None) -> int:
    counts = []
    for part in (window, baseline):
        if part is not None and len(data):
            inside = data[(data.index >= part.start) & (data.index < part.end)]
            per_series = inside.notna().sum()
            counts.append(int(per_series.max()) if len(per_series) else 0)
    return min(counts, default=0)
