"""Raw series of any origin -> one METRICS frame: contract levels, canonical names, no doubles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from loomtriage.contract.keys import canonical_projection
from loomtriage.contract.reasons import canonical
from loomtriage.model import Frame, Kind, Origin, Scope, Window
from loomtriage.model.frame import METRIC_LEVELS

COUNTER_ENDINGS = ("_total", "_count", "_sum", "_bucket")
SCRAPE_LABELS = ("job", "component")
"""Labels that a scrape configuration adds; they do not tell two series of one target apart."""
STALE_INTERVALS = 3
ENOUGH_FOR_AN_INTERVAL = 5
_EXTRA = METRIC_LEVELS.index("extra")
_Points = dict[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series as a source gave it.

    Attributes:
        labels: with `__name__`.
        points: (unix milliseconds, value).
    """

    labels: Mapping[str, str]
    points: Sequence[tuple[int, float]]


def metric_table(
    series: Iterable[Series], *, window: Window, scope: Scope
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The wide METRICS table of raw values within `[start, end)`, and its caveats.

    Series of another projection or env than the scope's are left out; a series without that label
    stays. One target scraped twice in the same env counts once.
    """
    start, end = (round(moment.timestamp() * 1000) for moment in (window.start, window.end))
    unique, doubles = _unique(series)
    columns: dict[tuple[str, ...], _Points] = {}
    for one in unique:
        key = _key(one.labels)
        if not _in_scope(key, scope):
            continue
        points = {at: value for at, value in one.points if start <= at < end}
        if points:
            _merge(columns.setdefault(key, {}), points, counts=_is_counter(key[0]))
    notes = _twice(columns)
    if doubles:
        notes = (*notes, f"{doubles} series of targets that are scraped twice were left out.")
    if columns:
        notes = (*notes, *_stale(columns, end))
    return _table(columns), notes


def _key(labels: Mapping[str, str]) -> tuple[str, ...]:
    levels = dict.fromkeys(METRIC_LEVELS, "")
    extra = []
    for name, value in sorted(labels.items()):
        if name == "__name__":
            levels["metric"] = value
        elif name in levels and name not in ("metric", "extra"):
            levels[name] = value
        else:
            extra.append(f"{name}={value}")
    levels["projection"] = canonical_projection(levels["projection"])
    levels["reason"] = canonical(levels["reason"]) if levels["reason"] else ""
    levels["extra"] = ",".join(extra)
    return tuple(levels.values())


def _in_scope(key: tuple[str, ...], scope: Scope) -> bool:
    for level in ("env", "projection"):
        wanted, found = getattr(scope, level), key[METRIC_LEVELS.index(level)]
        if level == "projection":
            wanted = canonical_projection(wanted)
        if wanted and found and wanted != found:
            return False
    return True


def _is_counter(name: str) -> bool:
    return name.endswith(COUNTER_ENDINGS)


def _unique(series: Iterable[Series]) -> tuple[list[Series], int]:
    """Of series that differ in scrape labels only, the one with most points."""
    kept: dict[frozenset[tuple[str, str]], Series] = {}
    doubles = 0
    ordered = sorted(series, key=lambda s: (-len(s.points), sorted(s.labels.items())))
    for one in ordered:
        key = frozenset((k, v) for k, v in one.labels.items() if k not in SCRAPE_LABELS)
        if key in kept:
            doubles += 1
        else:
            kept[key] = one
    return list(kept.values()), doubles


def _merge(into: _Points, points: _Points, *, counts: bool) -> None:
    """Two spellings of one reason or projection become one series: counters add up."""
    for at, value in points.items():
        if at not in into:
            into[at] = value
        else:
            into[at] = into[at] + value if counts else max(into[at], value)


def _twice(columns: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    instance, env = METRIC_LEVELS.index("instance"), METRIC_LEVELS.index("env")
    seen: dict[str, set[str]] = {}
    for key in columns:
        seen.setdefault(key[instance], set()).add(key[env])
    return tuple(
        f"{name or 'A target'} is scraped under {len(envs)} envs ({', '.join(sorted(envs))}); "
        "its values repeat."
        for name, envs in sorted(seen.items())
        if len(envs) > 1
    )


def _stale(columns: Mapping[tuple[str, ...], _Points], end: int) -> tuple[str, ...]:
    """Says so when the newest sample is older than three scrape intervals before the end."""
    times = np.unique(np.concatenate([np.fromiter(p, dtype="int64") for p in columns.values()]))
    longest = max(columns.values(), key=len)
    if len(longest) < ENOUGH_FOR_AN_INTERVAL:
        return ()
    interval = float(np.median(np.diff(np.sort(np.fromiter(longest, dtype="int64")))))
    age = end - int(times[-1])
    if age <= STALE_INTERVALS * interval:
        return ()
    says = f"stale: the newest sample is {age / 1000:.1f} s older than the window's end"
    return (f"{says} (scrape interval {interval / 1000:g} s).",)


def _table(columns: Mapping[tuple[str, ...], _Points]) -> pd.DataFrame:
    keys = sorted(columns)
    if not keys:
        return _empty_table()
    times = np.unique(np.concatenate([np.fromiter(p, dtype="int64") for p in columns.values()]))
    values = np.full((len(times), len(keys)), np.nan)
    for place, key in enumerate(keys):
        at = np.fromiter(columns[key].keys(), dtype="int64")
        values[np.searchsorted(times, at), place] = np.fromiter(
            columns[key].values(), dtype="float64"
        )
    return pd.DataFrame(
        values,
        index=pd.DatetimeIndex(pd.to_datetime(times, unit="ms", utc=True)),
        columns=pd.MultiIndex.from_tuples(keys, names=METRIC_LEVELS),
    )


def _empty_table() -> pd.DataFrame:
    from datetime import UTC, datetime, timedelta

    now = datetime(2000, 1, 1, tzinfo=UTC)
    nowhere = Origin(source="", query="", window=Window(now, now + timedelta(seconds=1)))
    return Frame.empty(Kind.METRICS, nowhere, missing="empty").data
