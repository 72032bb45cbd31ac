"""Progress: how do scores and times move over the rounds, as pictures?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from statistics import median
from typing import TYPE_CHECKING

from loomtriage.report.canvas import Chart, Ink, drawn, new_figure, nothing
from loomtriage.train.spread import LEAST

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT_IN = 3.4
SCORES, TIMES = "Score by round", "Seconds to each moment, by round"


def draw_scores(scores: Sequence[float]) -> Chart:
    """Each round's score, and the median of it and the four before it."""
    if not scores:
        return nothing("scores", title=SCORES, why="No scored round yet.")

    def draw(ink: Ink) -> Figure:
        figure, axes = _axes("score", rounds=len(scores))
        rounds = range(1, len(scores) + 1)
        axes.bar(rounds, scores, color=ink.calm, width=0.6, label="score")
        if whole := rounds[LEAST - 1 :]:
            middles = [median(scores[n - LEAST : n]) for n in whole]
            axes.plot(whole, middles, marker="o", color=ink.muted, label=f"median of {LEAST}")
        axes.set_ylim(0, 100)
        return _labelled(figure, axes)

    told = ", ".join(f"{score:.0f}" for score in scores[-10:])
    return drawn("scores", title=SCORES, alt=f"Scores of the last rounds: {told}.", draw=draw)


def draw_times(times: Mapping[str, Sequence[float | None]]) -> Chart:
    """Each timer over the rounds; a moment that was not reached leaves a gap."""
    if not any(value is not None for values in times.values() for value in values):
        return nothing("times", title=TIMES, why="No moment was reached yet.")

    def draw(_ink: Ink) -> Figure:
        figure, axes = _axes("seconds", rounds=max(map(len, times.values())))
        for mark, (timer, values) in zip("osv^D", times.items(), strict=False):
            reached = [nan if value is None else value for value in values]
            if any(value is not None for value in values):
                rounds = range(1, len(values) + 1)
                axes.plot(rounds, reached, marker=mark, linewidth=1, label=timer)
        axes.set_ylim(bottom=0)
        return _labelled(figure, axes)

    return drawn(
        "times", title=TIMES, alt=f"Seconds to {', '.join(times)} in each round.", draw=draw
    )


def _axes(unit: str, *, rounds: int) -> tuple[Figure, Axes]:
    figure = new_figure(HEIGHT_IN)
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    axes.set_xlim(0.4, max(rounds, 2 * LEAST) + 0.6)
    axes.set_xlabel("round")
    axes.set_ylabel(unit)
    return figure, axes


def _labelled(figure: Figure, axes: Axes) -> Figure:
    """The legend above what is drawn, where it covers nothing."""
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(axes.lines) + 1)
    return figure
