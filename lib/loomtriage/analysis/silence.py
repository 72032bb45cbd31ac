"""Did spans, or the lines of one log file, stop coming while work went on?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from loomtriage.analysis.increases import measure
from loomtriage.model import Frame, Window

SURE = 7.0
"""Signs expected in the silence: none at all has then a chance below e^-7, about 1 in 1 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """The end of a window in which rows were finished and a signal said nothing.

    Attributes:
        seconds: how long, up to the end of the window.
        rows: finished in it.
        expected: signs (traces, lines) that they would have left at the rate of the time before.
    """

    seconds: float
    rows: float
    expected: float


NONE = Silence(seconds=0.0, rows=0.0, expected=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silences:
    """What fell silent: the end of the window without spans, and the log files that end early."""

    spans: Silence = NONE
    files: tuple[str, ...] = ()


def silences(frame: Frame, spans: pd.DataFrame, lines: pd.DataFrame, *, span: Window) -> Silences:
    """Look at the spans, and at each log file, of baseline and window together (`span`)."""
    mute = [
        str(name)
        for name, mine in lines.groupby("file")
        if silence(frame, list(mine["ts"]), len(mine), span=span).expected >= SURE
    ]
    traces = spans["trace_id"].nunique()
    return Silences(
        spans=silence(frame, list(spans["start"]), traces, span=span), files=tuple(mute)
    )


def silence(frame: Frame, moments: Sequence[datetime], signs: int, *, span: Window) -> Silence:
    """Compare the work after the last moment with the signs that work left until then.

    Sampling is allowed for: what counts is signs per finished row, before and after.
    """
    last = max(moments, default=span.start)
    if not len(frame) or not span.start < last < span.end:
        return NONE
    earlier, later = Window(span.start, last), Window(last, span.end)
    after, before = measure(frame, window=later, baseline=earlier).total("processed")
    rate = min(signs / before, 1.0) if before > 0 else 0.0
    return Silence(seconds=later.seconds, rows=after, expected=rate * after)
