"""Raw series of any origin -> one METRICS frame: contract levels, canonical names, no doubles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loomtriage.contract.keys import canonical_projection
from loomtriage.contract.reasons import canonical
from loomtriage.model import Frame, Kind, Origin, Scope, Window
from loomtriage.model.frame import METRIC_LEVELS
from loomtriage.sources.metrics.doubles import without_doubles
from loomtriage.sources.metrics.sample_series import Series

STALE_INTERVALS = 3
ENOUGH_FOR_AN_INTERVAL = 5
_Key = tuple[str, ...]
_Columns = Mapping[_Key, Series]


def metric_table(
    series: Iterable[Series], *, window: Window, scope: Scope
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The wide METRICS table of raw values within `[start, end)`, and its caveats.

    Series of another projection or env than the scope's are left out; a series without that label
    stays. A process that is scraped twice counts once.
    """
    start, end = (round(moment.timestamp() * 1000) for moment in (window.start, window.end))
    cut = (one.within(start, end) for one in series if in_scope(one.labels, scope))
    once, notes = without_doubles(one for one in cut if len(one.times))
    columns: dict[_Key, Series] = {}
    for one in once:
        key = _key(one.labels)
        columns[key] = _merged(columns[key], one) if key in columns else one
    return _table(columns), (*_aliases(once), *notes, *_stale(columns, end))


def contract_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels with projection and reason as the contract spells them."""
    told = dict(labels)
    if told.get("projection"):
        told["projection"] = canonical_projection(told["projection"])
    if told.get("reason"):
        told["reason"] = canonical(told["reason"])
    return told


def _aliases(series: Iterable[Series]) -> tuple[str, ...]:
    """Says which values were written under another name than the contract's."""
    seen = {
        (name, one.labels[name], told)
        for one in series
        for name, told in contract_labels(one.labels).items()
        if told != one.labels[name]
    }
    return tuple(f"alias: {name}={old} is read as {new}." for name, old, new in sorted(seen))


def in_scope(labels: Mapping[str, str], scope: Scope) -> bool:
    """Whether env and projection of the labels, where they have them, are the scope's."""
    wanted = {"env": scope.env, "projection": canonical_projection(scope.projection)}
    told = {
        "env": labels.get("env"),
        "projection": canonical_projection(labels.get("projection", "")),
    }
    return not any(wanted[key] and told[key] and wanted[key] != told[key] for key in wanted)


def _key(labels: Mapping[str, str]) -> _Key:
    told = contract_labels(labels)
    name = told.pop("__name__", "")
    own = [told.pop(level, "") for level in METRIC_LEVELS[1:-1]]
    return (name, *own, ",".join(f"{key}={value}" for key, value in sorted(told.items())))


def _merged(one: Series, other: Series) -> Series:
    """Two spellings of one reason or projection become one series: counters add up."""
    times = np.union1d(one.times, other.times)
    first, second = one.on(times), other.on(times)
    both = first + second if one.is_counter else np.maximum(first, second)
    values = np.where(np.isnan(first), second, np.where(np.isnan(second), first, both))
    return Series(labels=one.labels, times=times, values=values)


def _times(columns: _Columns) -> NDArray[np.int64]:
    # Series of one target share their times, so few arrays differ.
    different = {one.times.tobytes(): one.times for one in columns.values()}
    return np.unique(np.concatenate(list(different.values())))


def _stale(columns: _Columns, end: int) -> tuple[str, ...]:
    """Says so when the newest sample is older than three scrape intervals before the end."""
    longest = max((one.times for one in columns.values()), key=len, default=np.array([], "int64"))
    if len(longest) < ENOUGH_FOR_AN_INTERVAL:
        return ()
    interval = float(np.median(np.diff(longest)))
    age = end - max(int(one.times[-1]) for one in columns.values())
    if age <= STALE_INTERVALS * interval:
        return ()
    says = f"stale: the newest sample is {age / 1000:.1f} s older than the window's end"
    return (f"{says} (scrape interval {interval / 1000:g} s).",)


def _table(columns: _Columns) -> pd.DataFrame:
    if not columns:
        return _empty_table()
    keys, times = sorted(columns), _times(columns)
    values = np.empty((len(keys), len(times)))
    for place, key in enumerate(keys):
        values[place] = columns[key].on(times)
    return pd.DataFrame(
        values.T,
        index=pd.DatetimeIndex(pd.to_datetime(times, unit="ms", utc=True)),
        columns=pd.MultiIndex.from_tuples(keys, names=METRIC_LEVELS),
        copy=False,
    )


def _empty_table() -> pd.DataFrame:
    from datetime import UTC, datetime, timedelta

    now = datetime(2000, 1, 1, tzinfo=UTC)
    nowhere = Origin(source="", query="", window=Window(now, now + timedelta(seconds=1)))
    return Frame.empty(Kind.METRICS, nowhere, missing="empty").data
