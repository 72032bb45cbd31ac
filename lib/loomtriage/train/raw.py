"""Raw: what do lines, spans, rows and samples of a round say by themselves, unjudged?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from loomtriage.case import Case
from loomtriage.contract.catalogue import BY_ID
from loomtriage.contract.keys import PIVOTS, spellings
from loomtriage.report.tables import Table

FIELDS = "fields"
RAW: Mapping[str, tuple[str, ...]] = {
    "lines": ("ts", "level", "event", "reason", "error", "sha256", FIELDS),
    "spans": ("start", "service", "operation", "duration_s", "error", "trace_id", FIELDS),
    "rows": ("projection", "op", "status", "attempts", "reason", "error", FIELDS),
}
"""Columns of each raw look; the last one has the keys that vary."""
LABELS = ("projection", "op", "reason", "result")
FREE = frozenset(
    word for key in PIVOTS if key.name != "worker_id" for word in (key.name, *spellings(key.name))
)
"""Keys that name one thing each, not a kind of things."""
LAST, MOST_VALUES, MOST_DIGITS, MOST_CHARS = 40, 4, 6, 120
"""Rows shown; values of a key worth showing, and their digits; characters of a cell."""


def raw(case: Case, what: str) -> Table:
    """The last loud lines, failing spans, or unfinished rows; all of them when none is."""
    frame = case.pull(what)
    told = _told(frame.data, what)
    vary = _varying(told, but=RAW[what])
    data = frame.data.assign(
        **{FIELDS: [" ".join(f"{k}={one[k]}" for k in vary if k in one) for one in told]}
    )
    if what == "lines":
        data = data.assign(
            reason=[one.get("reason", "") for one in told],
            error=[
                one.get("error") or message
                for one, message in zip(told, data["message"], strict=True)
            ],
        )
    data = _striking(case, what, data)
    last = data[list(RAW[what])].tail(LAST)
    rows = tuple(tuple(_cell(cell) for cell in row) for row in last.itertuples(index=False))
    note = frame.hint if frame.missing else f"The last {len(rows)} of {len(data)}, newest first."
    if vary:
        kinds = "; ".join(f"{key} {', '.join(values)}" for key, values in vary.items())
        note += f" Keys that vary: {kinds}."
    return Table(id=what, title=what.capitalize(), columns=RAW[what], rows=rows[::-1], note=note)


def samples(case: Case, what: str) -> Table:
    """First and last sample of each series of a metric, before and in the window."""
    frame, metric = case.pull_metrics(what), BY_ID[what]
    rows = []
    for column in frame.data.columns:
        series = frame.data[column].dropna()
        is_before = series.index < case.window.start
        labels = dict(zip(frame.data.columns.names, column, strict=True))
        told = " ".join(f"{key}={labels[key]}" for key in LABELS if labels[key])
        rows.append((told, *_ends(series[is_before]), *_ends(series[~is_before])))
    columns = ("labels", "baseline from", "to", "window from", "to ")
    return Table(
        id=what, title=f"{metric.name}: {metric.says}", columns=columns, rows=tuple(rows),
        note=frame.hint if frame.missing else f"in {metric.unit}",
    )  # fmt: skip


def _told(data: pd.DataFrame, what: str) -> list[dict[str, Any]]:
    """What each line, span or row says of itself, by key."""
    if what != "rows":
        return [dict(one) for one in data["fields" if what == "lines" else "attributes"]]
    words = [name for name in data.columns if not isinstance(data[name].dtype, pd.DatetimeTZDtype)]
    return [
        {str(key): value for key, value in one.items() if value not in ("", None)}
        for one in data[words].to_dict("records")
    ]


def _varying(
    told: Sequence[Mapping[str, object]], *, but: Sequence[str]
) -> Mapping[str, list[str]]:
    """Values of the keys that have a few of them, those with the fewest first."""
    found: dict[str, set[str]] = {}
    for one in told:
        for key, value in one.items():
            values = found.setdefault(key, set())
            if len(values) <= MOST_VALUES:
                values.add(str(value))
    chosen = {
        key: sorted(values)
        for key, values in found.items()
        if 1 < len(values) <= MOST_VALUES
        and key not in FREE
        and key not in but
        and not any(_is_number_of_one(value) for value in values)
    }
    return dict(sorted(chosen.items(), key=lambda pair: (len(pair[1]), pair[0])))


def _is_number_of_one(value: str) -> bool:
    """Whether it counts up for each thing anew, as versions of rows do."""
    return value.isdigit() and len(value) > MOST_DIGITS


def _striking(case: Case, what: str, data: pd.DataFrame) -> pd.DataFrame:
    if not len(data):
        return data
    if what == "spans":
        return _or_all(data, data["error"].astype(bool))
    if what == "rows":
        return _or_all(data, data["status"] != "done")
    data = data[data["ts"] >= case.window.start]
    return _or_all(data, data["level"].isin(["WARNING", "ERROR", "CRITICAL"]))


def _or_all(data: pd.DataFrame, mask: pd.Series) -> pd.DataFrame:
    return data[mask] if bool(mask.any()) else data


def _cell(value: object) -> str:
    """A cell for reading: ids and hashes as far as a pointer needs them, times without a date."""
    if isinstance(value, pd.Timestamp):
        return f"{value:%H:%M:%S.%f}"[:-3]
    text = str(value)
    return text[:16] if len(text) in (32, 64) and text.isalnum() else text[:MOST_CHARS]


def _ends(samples: pd.Series) -> tuple[str, str]:
    return (f"{samples.iloc[0]:g}", f"{samples.iloc[-1]:g}") if len(samples) else ("", "")
