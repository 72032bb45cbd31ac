"""How is a chart laid out: axes with units and UTC, shaded windows, a legend that fits?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from loomtriage.model import Signal, Window
from loomtriage.report.canvas import WIDTH_IN, Ink, new_figure
from loomtriage.report.text import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SHAPES: Mapping[Signal | None, str] = MappingProxyType(
    {Signal.METRICS: "o", Signal.TRACES: "D", Signal.LOGS: "^", Signal.ROWS: "s", None: "P"}
)
LEFT_IN, RIGHT_IN, ROW_IN = 0.78, 0.25, 0.2
CHAR_IN = 0.062
"""Room for one character at 8 points; counted, since measuring drawn text can stall."""
MARK_CHARS = 50
FINE_S = 5.0
"""Moments that lie closer together than this are told apart in milliseconds."""
TITLE_CHARS = 100
DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One moment worth a place on the timeline.

    Attributes:
        label: what happened.
        at: aware UTC.
        signal: which signal tells it, None for what no signal tells.
    """

    label: str
    at: datetime
    signal: Signal | None

    def named(self, limit: int) -> str:
        """Label of at most `limit` characters, with the signal where there is one."""
        shown = cut(label(self.label), limit)
        return f"{shown} ({self.signal})" if self.signal else shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series as drawn: seconds since the epoch, values, and its number in words."""

    name: str
    at: tuple[float, ...]
    values: tuple[float, ...]
    weight: float
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Title, unit and windows of one chart."""

    title: str
    unit: str
    window: Window
    baseline: Window | None

    @property
    def start(self) -> float:
        """Left end, seconds since the epoch."""
        return min(w.start.timestamp() for w in (self.window, self.baseline) if w)

    @property
    def end(self) -> float:
        """Right end, seconds since the epoch."""
        return max(w.end.timestamp() for w in (self.window, self.baseline) if w)

    def span(self) -> str:
        """Both ends in words."""
        first, last = (datetime.fromtimestamp(s, UTC) for s in (self.start, self.end))
        return f"{first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S} UTC"


def lines_figure(lines: Sequence[Line], plot: Plot, ink: Ink, *, steps: bool) -> Figure:
    """Lines over time, legend below."""
    names = [f"{line.name}  {line.said}" for line in lines]
    columns = 2 if len(names) > 1 and max(map(len, names)) <= 62 else 1
    legend_in = -(-len(names) // columns) * ROW_IN + 0.02
    figure, axes = _axes(plot, plot_in=2.15, below_in=0.5 + legend_in)
    handles = []
    for index, line in enumerate(lines):
        handle = axes.plot(
            [_days(at) for at in line.at],
            line.values,
            drawstyle="steps-post" if steps else "default",
            linestyle=STYLES[index // 8 % len(STYLES)] if len(lines) > 8 else STYLES[index % 4],
            marker=MARKERS[index % len(MARKERS)],
            markevery=max(1, len(line.at) // 9),
        )
        handles += handle
    _shade(axes, plot, ink)
    axes.set_ylabel(cut(label(plot.unit), 40))
    # Zero belongs on the axis: a cut axis makes a ripple look like a flood.
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -0.03 * high), max(high, 1.0 if steps else high))
    if all(float(value).is_integer() for line in lines for value in line.values):
        # Whole things (rows, attempts) have no halves to mark.
        axes.locator_params(axis="y", integer=True)
    figure.legend(
        handles,
        names,
        loc="lower left",
        bbox_to_anchor=(LEFT_IN / WIDTH_IN - 0.012, 0.0),
        ncols=columns,
        handlelength=3.2,
        labelspacing=0.35,
        borderpad=0.3,
    )
    return figure


def timeline_figure(marks: Sequence[Mark], plot: Plot, ink: Ink) -> Figure:
    """One row per moment, named at the left, from top to bottom in order of time."""
    names = [mark.named(MARK_CHARS) for mark in marks]
    plot_in = max(0.9, 0.25 * len(marks) + 0.15)
    left_in = 0.2 + CHAR_IN * max(map(len, names))
    figure, axes = _axes(plot, plot_in=plot_in, below_in=0.55, left_in=left_in)
    _shade(axes, plot, ink)
    colors = _cycle()
    first, last = marks[0].at.timestamp(), marks[-1].at.timestamp()
    digits = 3 if last - first < FINE_S else 1
    for row, mark in enumerate(marks):
        at = mark.at.timestamp()
        axes.plot(
            [_days(at)],
            [row],
            marker=SHAPES[mark.signal],
            color=colors[list(SHAPES).index(mark.signal)],
            markersize=7,
            clip_on=False,
        )
        right = at <= plot.start + 0.7 * (plot.end - plot.start)
        later = f"  +{at - first:,.{digits}f} s" if row else ""
        axes.annotate(
            f"{mark.at.astimezone(UTC):%H:%M:%S}{later}",
            (_days(at), row),
            xytext=(9 if right else -9, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            fontsize=8,
        )
    axes.set_ylim(len(marks) - 0.4, -0.6)
    axes.set_yticks(range(len(marks)), names)
    axes.tick_params(axis="y", length=0)
    return figure


def title_of(figure: Figure, title: str, height_in: float) -> None:
    """Title in the top left corner."""
    shown = cut(label(title), TITLE_CHARS)
    place = (0.012, 1 - 0.1 / height_in)
    figure.text(*place, shown, ha="left", va="top", fontsize=9.5, fontweight="bold")


def cut(words: str, limit: int) -> str:
    """At most `limit` characters, the end marked when some are gone."""
    return words if len(words) <= limit else words[: limit - 1] + "…"


def _axes(
    plot: Plot, *, plot_in: float, below_in: float, left_in: float = LEFT_IN
) -> tuple[Figure, Axes]:
    """A figure with one axis of `plot_in` inches; fixed margins, measuring text can stall."""
    import matplotlib.dates as mdates

    top_in = 0.55
    height = top_in + plot_in + below_in
    figure = new_figure(height)
    width = 1 - (left_in + RIGHT_IN) / WIDTH_IN
    box = (left_in / WIDTH_IN, below_in / height, width, plot_in / height)
    axes = figure.add_axes(box)
    title_of(figure, plot.title, height)
    axes.set_xlim(_days(plot.start), _days(plot.end))
    locator = mdates.AutoDateLocator(tz=UTC, minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    locator.intervald[mdates.MINUTELY] = [1, 2, 5, 10, 15, 20, 30]
    formatter = mdates.DateFormatter(_tick_format(plot), tz=UTC)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
    day = datetime.fromtimestamp(plot.window.start.timestamp(), UTC)
    axes.set_xlabel(f"time, UTC ({day:%Y-%m-%d})")
    return figure, axes


def _tick_format(plot: Plot) -> str:
    length = plot.end - plot.start
    if length > DAY_S:
        return "%m-%d %H:%M"
    return "%H:%M:%S" if length < 1200 else "%H:%M"


def _shade(axes: Axes, plot: Plot, ink: Ink) -> None:
    """Both windows as bands with their names above, told apart without colour by their edges."""
    for window, fill, name in (
        (plot.baseline, ink.baseline, "baseline"),
        (plot.window, ink.incident, "incident window"),
    ):
        if window is None:
            continue
        start, end = _days(window.start.timestamp()), _days(window.end.timestamp())
        axes.axvspan(start, end, color=fill, zorder=0, linewidth=0)
        if name != "baseline":
            axes.axvline(start, color=ink.muted, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
        axes.annotate(
            name,
            (start, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, 3),
            textcoords="offset points",
            fontsize=7.5,
            color=ink.muted,
        )


def _cycle() -> list[str]:
    import matplotlib as mpl

    return [f"#{c.lstrip('#')}" for c in mpl.rcParams["axes.prop_cycle"].by_key()["color"]]


def _days(seconds: float) -> float:
    """Matplotlib's dates: days since the epoch."""
    return seconds / DAY_S
