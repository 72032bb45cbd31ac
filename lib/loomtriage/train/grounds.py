"""Grounds: which of a trainee's pointers lead to something that shows the fault?

A pointer is a metric's id or name, a trace id, or the SHA-256 of a log line. It counts for its
signal when the round's own telemetry holds it and it shows trouble; three signals make the whole
ground, or as many as can show this fault at all. A fault that moves no metric is shown by a line
or span that carries what is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import pandas as pd

from loomtriage.case import Case
from loomtriage.contract.catalogue import BY_ID, MetricType
from loomtriage.contract.keys import read_key
from loomtriage.drills.drill import Drill
from loomtriage.drills.expect import Expectation
from loomtriage.train.score import Proven

LEAST_RISE = 1.0
SHORTEST = 8
"""Characters of an id or hash that are enough to find it."""
MOVES = ("appears", "rises", "falls")
FIELD: Mapping[str, str] = {"projection_version": "projection_version"}
"""What lines and spans carry anew under a cause that moves no metric, by cause."""
NAMES: Mapping[str, str] = {metric.name: metric.id for metric in BY_ID.values()}
"""Ids of metrics by the names that panels show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anew:
    """A line or span of the window that carries a value which its projection had not before.

    Attributes:
        signal: `lines` or `spans`.
        name: the line's SHA-256, or the span's trace id.
        projection: whose it is.
        value: what it carries.
        before: what its projection carried before the window, sorted.
    """

    signal: str
    name: str
    projection: str
    value: str
    before: tuple[str, ...]


def moving(drill: Drill) -> tuple[Expectation, ...]:
    """What a drill expects to move; what must stay flat or absent shows no fault."""
    return tuple(one for one in drill.expect if one.name.startswith(MOVES))


def telling(drill: Drill) -> tuple[Expectation, ...]:
    """What tells a drill first: what appears where nothing was, or else what moves at all."""
    found = moving(drill)
    return tuple(one for one in found if one.name.startswith("appears")) or found


def prove(
    case: Case, pointers: Sequence[str], *, promised: Sequence[str] = (), field: str = ""
) -> Proven:
    """Resolve pointers in a round's telemetry.

    Args:
        case: opened on the round, its window the fault's.
        pointers: as given; what leads nowhere is counted and does not count.
        promised: ids of metrics that this fault moves, beside those that count trouble.
        field: what a line or span carries anew where no metric moves; then one of them is enough.
    """
    if field and not promised:
        return _by_field(case, pointers, field)
    moved = frozenset(promised) | frozenset(rising(case))
    able = _able(case, moved)
    if not able:
        return Proven(says="No signal of this round can show it.")
    hits = sorted({_shows(case, word, moved) for word in pointers} & set(able))
    return Proven(
        grounded=len(hits) / len(able),
        says=f"{len(hits)} of {len(able)} signals shown ({', '.join(hits) or 'none'}); "
        f"{len(pointers)} pointer(s) given.",
    )


def rising(case: Case) -> Mapping[str, float]:
    """Counters of trouble that rose in the window: their increase, by catalogue id."""
    wanted = {
        metric.name: metric.id
        for metric in BY_ID.values()
        if metric.worse > 0 and metric.type is MetricType.COUNTER
    }
    data = case.pull_metrics(*wanted.values()).data
    found: dict[str, float] = {}
    for column in data.columns:
        name = wanted[str(column[data.columns.names.index("metric")])]
        found[name] = found.get(name, 0.0) + _rise(data[column].dropna(), case)
    return {name: rise for name, rise in found.items() if rise >= LEAST_RISE}


def _rise(series: pd.Series, case: Case) -> float:
    before = series.loc[series.index < case.window.start]
    inside = series.loc[(series.index >= case.window.start) & (series.index < case.window.end)]
    # A series that begins inside the window rose from nothing.
    start = before.iloc[-1:] if len(before) else pd.Series([0.0])
    return float(pd.concat([start, inside]).diff().clip(lower=0).sum())


def _able(case: Case, moved: frozenset[str]) -> tuple[str, ...]:
    """Signals in which something stands out in this round."""
    spans, lines = case.pull("spans").data, case.pull("lines").data
    found = {
        "metrics": bool(moved),
        "traces": len(spans) > 0 and bool(spans["error"].any()),
        "logs": len(lines) > 0 and bool(_troubled(lines, case).any()),
    }
    return tuple(signal for signal, is_there in found.items() if is_there)


def _shows(case: Case, word: str, moved: frozenset[str]) -> str:
    """The signal that a pointer proves something in, empty when it leads nowhere."""
    metric = _metric(word)
    if metric:
        return "metrics" if metric in moved else ""
    name = _id(word)
    if len(name) < SHORTEST:
        return ""
    spans, lines = case.pull("spans").data, case.pull("lines").data
    if len(spans) and bool((spans["trace_id"].str.startswith(name) & spans["error"]).any()):
        return "traces"
    if len(lines) and bool((lines["sha256"].str.startswith(name) & _troubled(lines, case)).any()):
        return "logs"
    return ""


def _metric(word: str) -> str:
    """The id of the metric that a pointer names, with or without its labels; empty for none."""
    name = word.partition("{")[0].rstrip(":").rpartition(":")[2]
    name = NAMES.get(name, name)
    return name if name in BY_ID else ""


def _id(word: str) -> str:
    return word.rpartition(":")[2]


def anew(case: Case, field: str) -> tuple[Anew, ...]:
    """What carries a value of that field for the first time: lines, then spans, as they came."""
    told = {
        "lines": _told(case.pull("lines").data, ("ts", "sha256", "fields"), field),
        "spans": _told(case.pull("spans").data, ("start", "trace_id", "attributes"), field),
    }
    start, end = case.window.start, case.window.end
    old = {key for carried in told.values() for moment, _, key in carried if moment < start}
    return tuple(
        Anew(
            signal=signal,
            name=name,
            projection=projection,
            value=value,
            before=tuple(sorted(was for whose, was in old if whose == projection)),
        )
        for signal, carried in told.items()
        for moment, name, (projection, value) in sorted(carried, key=itemgetter(0))
        if start <= moment < end and (projection, value) not in old
    )


def _by_field(case: Case, pointers: Sequence[str], field: str) -> Proven:
    """Whether a pointer leads to a line or span whose field has a value that is new."""
    there = {one.name for one in anew(case, field)}
    if not there:
        return Proven(says="No signal of this round can show it.")
    names = [name for word in pointers if len(name := _id(word)) >= SHORTEST]
    hit = any(one.startswith(name) for one in there for name in names)
    shown = "A line or span shows" if hit else "No line or span was given that shows"
    says = f"{shown} another {field} than before; {len(pointers)} pointer(s) given."
    return Proven(grounded=float(hit), says=says)


def _told(
    data: pd.DataFrame, columns: tuple[str, str, str], field: str
) -> list[tuple[pd.Timestamp, str, tuple[str, str]]]:
    """What carries the field: moment, id, and projection with the field's value."""
    if not len(data):
        return []
    carried: Iterable[tuple[pd.Timestamp, str, Mapping[str, object]]] = zip(
        *(data[column] for column in columns), strict=True
    )
    return [
        (moment, name, (read_key("projection", keys), str(value)))
        for moment, name, keys in carried
        if (value := keys.get(field, keys.get(f"wordloom.{field}"))) is not None
    ]


def _troubled(lines: pd.DataFrame, case: Case) -> pd.Series:
    is_loud = lines["level"].isin(["WARNING", "ERROR", "CRITICAL"])
    return is_loud & (lines["ts"] >= case.window.start) & (lines["ts"] < case.window.end)
