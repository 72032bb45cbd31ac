"""Charts over time: what grew, how the gauges moved, and in which order things happened."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from loomtriage.model import Window
from loomtriage.report.canvas import Chart, drawn, guarded, nothing
from loomtriage.report.plot import Line, Mark, Plot, lines_figure, timeline_figure
from loomtriage.report.text import LABEL, label
from loomtriage.report.waterfall import waterfall

__all__ = ["Chart", "Mark", "gauges", "increases", "timeline", "waterfall"]

Series = Mapping[str, Sequence[tuple[datetime, float]]]
MAX_SERIES = 30
MAX_MARKS = 24
SPOKEN = 5
"""Series and moments named in the text that stands for the picture."""


def increases(  # noqa: PLR0913  # a chart has a name, a unit and two windows
    series: Series,
    *,
    id: str,  # noqa: A002  # an id is an id
    title: str,
    unit: str,
    window: Window,
    baseline: Window | None,
) -> Chart:
    """Cumulative increase since the start of the baseline, one step line per series.

    Takes raw counters or sums of increases; `unit` is the counter's. A drop is a restart, the
    value after it counts from zero; a series that appears later than the others was born at zero.
    Never raises.
    """
    plot = Plot(title=title, unit=f"Increase, {unit}", window=window, baseline=baseline)
    start = plot.start

    def make() -> Chart:
        known = {name: _clean(points) for name, points in series.items()}
        # Targets are scraped at different moments: only what misses two scrapes was born late.
        born = min((points[1][0] for points in known.values() if len(points) > 1), default=math.inf)
        lines = [_grown(name, points, start, born) for name, points in known.items()]
        return _over_time(lines, plot, id=id, unit=unit, steps=True)

    return guarded(id, title=title, make=make)


def gauges(  # noqa: PLR0913  # a chart has a name, a unit and two windows
    series: Series,
    *,
    id: str,  # noqa: A002  # an id is an id
    title: str,
    unit: str,
    window: Window,
    baseline: Window | None,
) -> Chart:
    """Raw values over time in `unit`, one line per series. Never raises."""
    plot = Plot(title=title, unit=unit, window=window, baseline=baseline)

    def make() -> Chart:
        lines = [_raw(name, _clean(points)) for name, points in series.items()]
        return _over_time(lines, plot, id=id, unit=unit, steps=False)

    return guarded(id, title=title, make=make)


def timeline(
    marks: Sequence[Mark],
    *,
    id: str,  # noqa: A002  # an id is an id
    title: str,
    window: Window,
    baseline: Window | None,
) -> Chart:
    """Moments of all signals on one axis, each with its distance from the first. Never raises."""
    plot = Plot(title=title, unit="", window=window, baseline=baseline)

    def make() -> Chart:
        if not marks:
            return nothing(id, title=title, why="Nothing to draw: no moment was found.")
        kept = sorted(marks, key=lambda mark: (_seconds(mark.at), mark.label))[:MAX_MARKS]
        hidden = len(marks) - len(kept)
        return drawn(
            id,
            title=title,
            alt=f"In this order, UTC: {'; '.join(_say_mark(mark) for mark in kept[:SPOKEN])}.",
            draw=lambda ink: timeline_figure(kept, plot, ink),
            note=f"{hidden} later moments are not drawn." if hidden else "",
        )

    return guarded(id, title=title, make=make)


def _over_time(
    lines: list[Line],
    plot: Plot,
    *,
    id: str,  # noqa: A002  # an id is an id
    unit: str,
    steps: bool,
) -> Chart:
    seen = sorted((line for line in lines if line.at), key=lambda line: -line.weight)
    if not seen:
        why = "Nothing to draw: no sample in these windows."
        return nothing(id, title=plot.title, why=why)
    kept = seen[:MAX_SERIES]
    spoken = "; ".join(f"{line.name} {line.said}" for line in kept[:SPOKEN])
    return drawn(
        id,
        title=plot.title,
        alt=f"{'Increase in' if steps else 'In'} {label(unit)}, {plot.span()}: {spoken}.",
        draw=lambda ink: lines_figure(kept, plot, ink, steps=steps),
        note=_left_out(len(seen) - len(kept), len(lines) - len(seen)),
    )


def _left_out(hidden: int, empty: int) -> str:
    notes = [
        f"{hidden} series that moved less are not drawn." if hidden else "",
        f"{empty} series had no sample." if empty else "",
    ]
    return " ".join(note for note in notes if note)


def _grown(name: str, points: list[tuple[float, float]], start: float, born: float) -> Line:
    """Sum of positive steps from `start` on; series first seen at `born` or later began at zero."""
    at: list[float] = []
    values: list[float] = []
    total = 0.0
    last: float | None = None
    if points and points[0][0] >= born:
        last = 0.0
        at, values = [max(start, min(born, points[0][0]))], [0.0]
    for moment, value in points:
        step = 0.0 if last is None else value - last if value >= last else value
        last = value
        if moment >= start:
            total += step
            at.append(moment)
            values.append(total)
    said = f"+{_number(total)}"
    return Line(name=label(name), at=tuple(at), values=tuple(values), weight=total, said=said)


def _raw(name: str, points: list[tuple[float, float]]) -> Line:
    values = tuple(value for _, value in points)
    low, high = min(values, default=0.0), max(values, default=0.0)
    said = f"always {_number(low)}" if low == high else f"{_number(low)} to {_number(high)}"
    at = tuple(moment for moment, _ in points)
    return Line(name=label(name), at=at, values=values, weight=high - low, said=said)


def _clean(points: Sequence[tuple[datetime, float]]) -> list[tuple[float, float]]:
    """Seconds since the epoch and finite values, in order of time."""
    pairs = [(_seconds(at), float(value)) for at, value in points]
    return sorted(pair for pair in pairs if math.isfinite(pair[1]))


def _seconds(moment: datetime) -> float:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return moment.timestamp()


def _say_mark(mark: Mark) -> str:
    return f"{mark.named(LABEL)} {mark.at.astimezone(UTC):%H:%M:%S}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.3g}"
