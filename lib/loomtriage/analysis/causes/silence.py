"""Did spans, or the lines of one log file, stop coming while work went on?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from loomtriage.analysis.apart import named_projections
from loomtriage.analysis.counters.increases import measure
from loomtriage.contract import catalogue
from loomtriage.model import Frame, Window

SURE = 7.0
"""Signs expected in the silence: none at all has then a chance below e^-7, about 1 in 1 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """The end of a window in which rows were finished and a signal said nothing.

    Attributes:
        seconds: how long, up to the end of the window.
        rows: finished in it.
        before: finished until then.
        expected: signs (traces, lines) that they would have left at the rate of the time before.
    """

    seconds: float
    rows: float
    before: float = 0.0
    expected: float


NONE = Silence(seconds=0.0, rows=0.0, expected=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silences:
    """What fell silent.

    Attributes:
        spans: the end of the window without spans.
        files: log files that end early, each with the projections that its lines name.
    """

    spans: Silence = NONE
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def silences(frame: Frame, spans: pd.DataFrame, lines: pd.DataFrame, *, span: Window) -> Silences:
    """Look at the spans, and at each log file, of baseline and window together (`span`).

    Like is compared with like: spans with the work of the projections that they name, and a file,
    which one worker writes, with the work of one worker of those.
    """
    mute = {
        str(name): named_projections(mine["fields"])
        for name, mine in lines.groupby("file")
        if _of_one_worker(frame, mine, span=span).expected >= SURE
    }
    work = _of_projections(frame, spans["attributes"])
    traces = spans["trace_id"].nunique()
    return Silences(spans=silence(work, list(spans["start"]), traces, span=span), files=mute)


def silence(frame: Frame, moments: Sequence[datetime], signs: int, *, span: Window) -> Silence:
    """Compare the work after the last moment with the signs that work left until then.

    Sampling is allowed for: what counts is signs per finished row, before and after. So is the time
    between two scrapes: rows that were counted across the last moment may have been done before it.
    """
    last = max(moments, default=span.start)
    if not len(frame) or not span.start < last < span.end:
        return NONE
    earlier, later = Window(span.start, last), Window(last, span.end)
    before = measure(frame, window=earlier, baseline=None).total("processed")[0]
    after = _certainly(frame, later)
    rate = min(signs / before, 1.0) if before > 0 else 0.0
    return Silence(seconds=later.seconds, rows=after, before=before, expected=rate * after)


def _certainly(frame: Frame, later: Window) -> float:
    """Rows finished behind the first scrape of each series in that window."""
    moments = frame.data.index
    inside = frame.data.loc[(moments >= later.start) & (moments < later.end), _finished(frame)]
    seen = inside.notna().to_numpy()
    firsts = [int(seen[:, n].argmax()) for n in range(seen.shape[1]) if seen[:, n].any()]
    if not firsts:
        return 0.0
    start = inside.index[max(firsts)].to_pydatetime(warn=False) + timedelta(microseconds=1)
    if start >= later.end:
        return 0.0
    return measure(frame, window=Window(start, later.end), baseline=None).total("processed")[0]


def _of_one_worker(frame: Frame, lines: pd.DataFrame, *, span: Window) -> Silence:
    """The least that is expected, whichever of the workers wrote the file.

    No key says which did. One that had finished nothing while the file grew did not.
    """
    mine = _of_projections(frame, lines["fields"])
    workers = dict.fromkeys(mine.data.columns.get_level_values("instance"))
    each = [
        silence(_only(mine, "instance", {worker}), list(lines["ts"]), len(lines), span=span)
        for worker in workers
    ]
    busy = [one for one in each if one.before > 0]
    return min(busy, key=lambda one: one.expected, default=NONE)


def _of_projections(frame: Frame, named: Iterable[Mapping[str, object]]) -> Frame:
    """The work of the projections that spans or lines name; all of it where they name none."""
    projections = named_projections(named)
    return _only(frame, "projection", set(projections)) if projections else frame


def _only(frame: Frame, level: str, values: set[str]) -> Frame:
    """The finished rows with these labels; `up` stays, as it tells births from restarts."""
    levels = frame.data.columns.get_level_values
    keep = _finished(frame) & levels(level).isin(values) | (levels("metric") == "up")
    return replace(frame, data=frame.data.loc[:, keep])


def _finished(frame: Frame) -> npt.NDArray[np.bool_]:
    """Which columns count finished rows, (columns,) bool."""
    names = frame.data.columns.get_level_values("metric")
    return np.asarray(names == catalogue.BY_ID["processed"].name)
