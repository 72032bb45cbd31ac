"""Progress: how do scores and times move over the rounds, as pictures?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from loomtriage.report.canvas import Chart, Ink, drawn, new_figure, nothing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT_IN = 3.0
SCORES, TIMES = "Score by round", "Seconds to each moment, by round"


def draw_scores(scores: Sequence[float]) -> Chart:
    """Each round's score, and the median of the last five."""
    if not scores:
        return nothing("scores", title=SCORES, why="No scored round yet.")

    def draw(ink: Ink) -> Figure:
        figure, axes = _axes()
        rounds = range(1, len(scores) + 1)
        axes.bar(list(rounds), list(scores), color=ink.calm, width=0.7)
        axes.set_ylim(0, 100)
        axes.set_ylabel("score")
        return figure

    told = ", ".join(f"{score:.0f}" for score in scores[-10:])
    return drawn("scores", title=SCORES, alt=f"Scores of the last rounds: {told}.", draw=draw)


def draw_times(times: Mapping[str, Sequence[float | None]]) -> Chart:
    """Each timer over the rounds; a moment that was not reached leaves a gap."""
    if not any(value is not None for values in times.values() for value in values):
        return nothing("times", title=TIMES, why="No moment was reached yet.")

    def draw(_ink: Ink) -> Figure:
        figure, axes = _axes()
        for mark, (timer, values) in zip("osv^D", times.items(), strict=False):
            reached = [(n, v) for n, v in enumerate(values, start=1) if v is not None]
            if reached:
                axes.plot(*zip(*reached, strict=True), marker=mark, linewidth=1, label=timer)
        axes.set_ylabel("seconds")
        axes.set_ylim(bottom=0)
        axes.legend(ncols=5)
        return figure

    return drawn(
        "times", title=TIMES, alt=f"Seconds to {', '.join(times)} in each round.", draw=draw
    )


def _axes() -> tuple[Figure, Axes]:
    figure = new_figure(HEIGHT_IN)
    axes = figure.add_subplot()
    axes.set_xlabel("round")

    return figure, axes
