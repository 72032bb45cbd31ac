"""Builders of small frames, so that a test reads as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pandas as pd

from loomtriage.contract import catalogue
from loomtriage.contract.keys import SEARCH
from loomtriage.model import Frame, Kind, Origin, Window
from loomtriage.model.frame import COLUMNS, METRIC_LEVELS

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BASELINE = Window(T0, T0 + timedelta(seconds=30))
WINDOW = Window(T0 + timedelta(seconds=30), T0 + timedelta(seconds=60))


def at(seconds: float) -> datetime:
    """An instant, counted from the start of the baseline."""
    return T0 + timedelta(seconds=seconds)


def origin(source: str = "test") -> Origin:
    return Origin(source=source, query="test", window=Window(BASELINE.start, WINDOW.end))


def column(metric: str, *, instance: str = "w1", **labels: str) -> tuple[str, ...]:
    """A METRICS column for a catalogue id."""
    filled = {"env": "test", "projection": SEARCH, **labels}
    name = catalogue.BY_ID[metric].name
    return tuple({"metric": name, "instance": instance, **filled}.get(x, "") for x in METRIC_LEVELS)


def metrics(
    series: Mapping[tuple[str, ...], Sequence[float | None]], *, step_s: float = 1.0
) -> Frame:
    """A METRICS frame with one value each `step_s` from T0; None is "no sample"."""
    length = max(len(values) for values in series.values())
    index = pd.DatetimeIndex([at(i * step_s) for i in range(length)], tz="UTC")
    data = pd.DataFrame({k: pd.Series(list(v), index=index[: len(v)]) for k, v in series.items()})
    data.columns = pd.MultiIndex.from_tuples(list(series), names=METRIC_LEVELS)
    return Frame(kind=Kind.METRICS, data=data.astype("float64"), origin=origin("prometheus"))


def ramp(before: float, during: float, *, start: float = 0.0, seconds: int = 30) -> list[float]:
    """A counter that grows by `before` over the baseline and by `during` over the window."""
    first = [start + before * i / seconds for i in range(1, seconds + 1)]
    return [start, *first, *(first[-1] + during * i / seconds for i in range(1, seconds))]


def span(
    trace: str, own: str, operation: str, *, parent: str = "", start: float = 40.0, **extra: object
) -> dict[str, object]:
    """One row of a SPANS table; times are seconds from T0."""
    row: dict[str, object] = {
        "trace_id": trace,
        "span_id": own,
        "parent_id": parent,
        "service": "wordloom-search-outbox-worker",
        "operation": operation,
        "kind": "internal",
        "start": at(start),
        "duration_s": 0.1,
        "error": False,
        "status_message": "",
        "attributes": {},
    }
    return row | extra


def spans(*rows: Mapping[str, object]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COLUMNS[Kind.SPANS]))


def line(message: str, *, seconds: float = 40.0, **extra: object) -> dict[str, object]:
    """One row of a LINES table."""
    row: dict[str, object] = {
        "ts": at(seconds),
        "level": "INFO",
        "logger": "worker",
        "event": "",
        "message": message,
        "trace_id": "",
        "span_id": "",
        "fields": {},
        "file": "worker.log",
        "line": 1,
        "sha256": "0" * 64,
    }
    return row | extra


def lines(*rows: Mapping[str, object]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COLUMNS[Kind.LINES]))
