"""Picture: how does the dashboard look over one window, drawn from the same queries?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import matplotlib as mpl

from loomtriage.contract.board import ROWS
from loomtriage.contract.panels import TITLE, Panel, Query, concrete
from loomtriage.drills.loopback import ask_json
from loomtriage.model import Window
from loomtriage.report import loose

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEP_S = 1.0
_RATE = "5s"
"""In the lab Prometheus scrapes twice a second."""
_ACROSS = 3
_LABELS = 6
_WORDS: Mapping[str, str] = {
    "search_index_to_elastic": "search",
    "chronicle_events_to_entries": "chronicle",
}


def draw(url: str, *, last_s: float, out: Path) -> tuple[int, tuple[str, ...]]:
    """Draw every panel over the last seconds of a Prometheus into a PNG.

    Returns the number of series, and the panels that have none.

    Args:
        url: of a Prometheus on this machine.
        last_s: length of the window that ends now.
        out: file to write.

    Raises:
        Refused: the server is on another machine.
        SourceUnavailable: it does not answer.
    """
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    now = datetime.now(UTC)
    window = Window(now - timedelta(seconds=last_s), now)
    panels = [panel for row in ROWS for panel in row.panels]
    down = math.ceil(len(panels) / _ACROSS)
    figure, axes = plt.subplots(down, _ACROSS, figsize=(6 * _ACROSS, 2.6 * down), sharex=True)
    drawn = {
        panel.title: _draw(place, panel, url=url, window=window)
        for place, panel in zip(axes.flat, panels, strict=False)
    }
    for place in axes.flat[len(panels) :]:
        place.set_visible(False)
    figure.suptitle(f"{TITLE}, seconds of a window in the lab", fontsize=14)
    figure.tight_layout(rect=(0, 0, 1, 0.985))
    figure.savefig(out, dpi=70)
    plt.close(figure)
    return sum(drawn.values()), tuple(title for title, count in drawn.items() if not count)


def _draw(place: Axes, panel: Panel, *, url: str, window: Window) -> int:
    count = 0
    for query in panel.queries:
        for labels, points in _ask(url, query, window):
            start = window.start.timestamp()
            seconds = [at - start for at, _ in points]
            label = _named(query, labels) if count < _LABELS else None
            place.plot(seconds, [value for _, value in points], linewidth=1.2, label=label)
            count += 1
    place.set_title(f"{panel.title} [{panel.unit}]", fontsize=9, loc="left")
    place.set_ylim(bottom=0)
    place.tick_params(labelsize=7)
    place.grid(alpha=0.3)
    if panel.line is not None:
        place.axhline(panel.line, color="tab:red", linestyle="--", linewidth=0.8)
    if count:
        place.legend(fontsize=6, loc="upper left", framealpha=0.6)
    return count


def _ask(
    url: str, query: Query, window: Window
) -> list[tuple[Mapping[str, object], Sequence[tuple[float, float]]]]:
    asked = {
        "query": concrete(query.expr, rate=_RATE),
        "start": f"{window.start.timestamp():.3f}",
        "end": f"{window.end.timestamp():.3f}",
        "step": f"{_STEP_S:g}",
    }
    answer = ask_json(f"{url}/api/v1/query_range?{urlencode(asked)}")
    found = []
    for one in loose.maps(loose.mapping(answer.get("data")).get("result")):
        values = one.get("values")
        points = (
            [(float(at), float(value)) for at, value in values] if isinstance(values, list) else []
        )
        if any(math.isfinite(value) for _, value in points):
            found.append((loose.mapping(one.get("metric")), points))
    # What moved is worth a name in the legend.
    return sorted(found, key=lambda one: -max(v for _, v in one[1] if math.isfinite(v)))


def _named(query: Query, labels: Mapping[str, object]) -> str:
    text = query.legend
    for key in (*labels, "env", "projection", "op", "reason", "result"):
        value = str(labels.get(key, ""))
        text = text.replace(f"{{{{{key}}}}}", _WORDS.get(value, value))
    return " ".join(text.split())
