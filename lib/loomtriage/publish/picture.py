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
_LABELS = 4
_SHADES = ("orange", "red")
_UNITS: Mapping[str, str] = {
    "ops": "a second",
    "reqps": "requests a second",
    "s": "seconds",
    "percentunit": "share",
    "bool": "1 is up",
    "short": "rows",
}
_WORDS: Mapping[str, str] = {
    "search_index_to_elastic": "search",
    "chronicle_events_to_entries": "chronicle",
}


def draw(
    url: str, *, last_s: float, marks: Mapping[str, Window], out: Path
) -> tuple[int, tuple[str, ...]]:
    """Draw every panel over the last seconds of a Prometheus into a PNG.

    Returns the number of series, and the panels that have none.

    Args:
        url: of a Prometheus on this machine.
        last_s: length of the window that ends now.
        marks: what stood meanwhile, by name; the first two are shaded in every panel.
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
    for place in axes.flat[: len(panels)]:
        _shade(place, marks, window=window)
    for place in axes.flat[len(panels) :]:
        place.set_visible(False)
    stood = "".join(f"; {color}: {name}" for color, name in zip(_SHADES, marks, strict=False))
    figure.suptitle(f"{TITLE}: {last_s:.0f} seconds of a lab{stood}", fontsize=13)
    figure.tight_layout(rect=(0, 0, 1, 0.985))
    figure.savefig(out, dpi=80)
    plt.close(figure)
    return sum(drawn.values()), tuple(title for title, count in drawn.items() if not count)


def _draw(place: Axes, panel: Panel, *, url: str, window: Window) -> int:
    count = named = 0
    start = window.start.timestamp()
    for query in panel.queries:
        for labels, points in _ask(url, query, window):
            seconds, values = [at - start for at, _ in points], [value for _, value in points]
            says = any(value > 0 for value in values) and named < _LABELS
            named, count = named + says, count + 1
            label = _named(query, labels) if says else None
            place.plot(seconds, values, linewidth=1.4, label=label)
    unit = _UNITS.get(panel.unit, panel.unit)
    place.set_title(f"{panel.title} [{unit}]", fontsize=10, loc="left")
    place.tick_params(labelsize=8)
    place.grid(alpha=0.3)
    if named:
        # Head room, so that names do not lie upon what they name.
        place.set_ylim(0, place.get_ylim()[1] * (1.1 + 0.16 * named))
        place.legend(fontsize=8, loc="upper left", framealpha=0.6, borderpad=0.2)
    else:
        place.set_ylim(0, 1)
        place.text(0.02, 0.85, "nothing throughout", fontsize=8, transform=place.transAxes)
    if panel.line is not None:  # last: a line far above must not flatten what is drawn
        place.axhline(panel.line, color="tab:red", linestyle="--", linewidth=0.8)
    return count


def _shade(place: Axes, marks: Mapping[str, Window], *, window: Window) -> None:
    start = window.start.timestamp()
    for color, stood in zip(_SHADES, marks.values(), strict=False):
        ends = (stood.start.timestamp() - start, stood.end.timestamp() - start)
        place.axvspan(*ends, color=f"tab:{color}", alpha=0.12, linewidth=0)
    place.set_xlim(0, window.seconds)


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
        value = str(labels.get(key, "")) if key != "env" else ""  # a lab has but one
        text = text.replace(f"{{{{{key}}}}}", _WORDS.get(value, value))
    return " ".join(text.split())
