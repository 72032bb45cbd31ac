"""Where in one trace did the time go, and which step failed, beside a healthy twin?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from loomtriage.report.canvas import WIDTH_IN, Chart, Ink, drawn, guarded, new_figure, nothing
from loomtriage.report.plot import CHAR_IN, cut, title_of
from loomtriage.report.text import text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[Hashable, Any]
"""One span as pandas hands it out: the SPANS columns."""

MAX_SPANS = 16
"""What one look takes in; a batch of twenty rows repeats itself."""
MAX_DEPTH = 8
NAME_CHARS, STATUS_CHARS = 40, 52
ROW_IN, NUMBER_IN = 0.23, 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One span as drawn: name with indent, milliseconds from the trace's first span."""

    name: str
    start_ms: float
    length_ms: float
    is_error: bool
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One trace as drawn; `hidden` spans were too many, `orphans` lack their parent."""

    caption: str
    bars: tuple[Bar, ...]
    hidden: int
    orphans: int


def waterfall(
    spans: pd.DataFrame,
    *,
    id: str,  # noqa: A002  # an id is an id
    title: str,
    twin: pd.DataFrame | None = None,
) -> Chart:
    """Spans of one trace in tree order on a millisecond axis; the healthy twin below.

    Takes tables with the SPANS columns. Spans that failed are told apart by hatch and sign, not
    by colour alone. Never raises.
    """

    def make() -> Chart:
        trees = [_tree(spans, "this trace")]
        if twin is not None and len(twin):
            trees.append(_tree(twin, "healthy twin, from the baseline"))
        if not trees[0].bars:
            return nothing(id, title=title, why="Nothing to draw: the trace has no spans.")
        return drawn(
            id,
            title=title,
            alt=" ".join(_say(tree) for tree in trees),
            draw=lambda ink: _figure(trees, title, ink),
            note=" ".join(note for tree in trees for note in _notes(tree)),
        )

    return guarded(id, title=title, make=make)


def _tree(spans: pd.DataFrame, caption: str) -> Tree:
    rows = spans.sort_values("start", kind="stable").to_dict("records") if len(spans) else []
    known = {row["span_id"] for row in rows}
    children: dict[object, list[Row]] = defaultdict(list)
    roots: list[Row] = []
    orphans = 0
    for row in rows:
        parent = row["parent_id"]
        if parent in known and parent != row["span_id"]:
            children[parent].append(row)
        else:
            orphans += isinstance(parent, str) and parent != ""
            roots.append(row)
    # Spans in a circle have no root; they are shown flat rather than lost.
    ordered = _walk(roots, children)
    reached = {id(row) for row, _ in ordered}
    ordered += [(row, 0) for row in rows if id(row) not in reached]
    first = rows[0]["start"] if rows else None
    services = sorted({str(row["service"]) for row in rows})
    is_shared = len(services) == 1
    bars = tuple(_bar(row, depth, first, is_shared) for row, depth in _few(ordered))
    trace = text(rows[0]["trace_id"], limit=32) if rows else ""
    service = text(services[0], limit=60) if is_shared else ""
    return Tree(
        caption="  ".join(part for part in (caption, trace, service) if part),
        bars=bars,
        hidden=max(0, len(ordered) - MAX_SPANS),
        orphans=orphans,
    )


def _few(ordered: list[tuple[Row, int]]) -> list[tuple[Row, int]]:
    """The first spans in order, of which the last make room when only later ones failed."""
    kept, later = ordered[:MAX_SPANS], ordered[MAX_SPANS:]
    if any(_is_true(row["error"]) for row, depth in kept if depth):
        return kept
    failed = [pair for pair in later if _is_true(pair[0]["error"])][: MAX_SPANS // 2]
    return kept[: MAX_SPANS - len(failed)] + failed


def _walk(roots: list[Row], children: Mapping[object, list[Row]]) -> list[tuple[Row, int]]:
    """Depth first without recursion: a trace may be deeper than Python's stack."""
    out: list[tuple[Row, int]] = []
    seen: set[int] = set()
    stack = [(row, 0) for row in reversed(roots)]
    while stack:
        row, depth = stack.pop()
        if id(row) in seen:
            continue
        seen.add(id(row))
        out.append((row, depth))
        stack += [(child, depth + 1) for child in reversed(children.get(row["span_id"], []))]
    return out


def _bar(row: Row, depth: int, first: Any, is_shared: bool) -> Bar:  # noqa: FBT001  # private
    duration = row["duration_s"]
    failed = _is_true(row["error"])
    name = text(row["operation"], limit=80)
    name = name if is_shared else f"{name}  ·  {text(row['service'], limit=60)}"
    status = text(row["status_message"], limit=200) if failed else ""
    return Bar(
        name="   " * min(depth, MAX_DEPTH) + cut(name, NAME_CHARS),
        start_ms=(row["start"] - first).total_seconds() * 1000,
        length_ms=0.0 if pd.isna(duration) else max(0.0, float(duration)) * 1000,
        is_error=failed,
        status=status,
    )


def _figure(trees: list[Tree], title: str, ink: Ink) -> Figure:
    gap_in, top_in, below_in = 0.42, 0.6, 0.5
    sizes = [max(2, len(tree.bars)) * ROW_IN for tree in trees]
    height = top_in + sum(sizes) + gap_in * (len(trees) - 1) + below_in
    figure = new_figure(height)
    title_of(figure, title, height)
    bars = [bar for tree in trees for bar in tree.bars]
    end = max(bar.start_ms + bar.length_ms for bar in bars) or 1.0
    left_in = 0.3 + CHAR_IN * max(len(bar.name) for bar in bars)
    status = max((len(cut(bar.status, STATUS_CHARS)) for bar in bars), default=0)
    right_in = NUMBER_IN + CHAR_IN * (status + 3)
    bottom = height - top_in
    for tree, size in zip(trees, sizes, strict=True):
        bottom -= size
        width = 1 - (left_in + right_in) / WIDTH_IN
        axes = figure.add_axes((left_in / WIDTH_IN, bottom / height, width, size / height))
        _draw(axes, tree, end, ink)
        axes.tick_params(axis="y", length=0, pad=(left_in - 0.12) * 72)
        axes.tick_params(labelbottom=tree is trees[-1])
        bottom -= gap_in
    axes.set_xlabel("ms since the trace's first span")
    return figure


def _draw(axes: Axes, tree: Tree, end_ms: float, ink: Ink) -> None:
    for row, bar in enumerate(tree.bars):
        axes.barh(
            row,
            max(bar.length_ms, end_ms * 0.002),
            left=bar.start_ms,
            height=0.62,
            color=ink.paper if bar.is_error else ink.calm,
            edgecolor=ink.error if bar.is_error else ink.calm,
            hatch="/////" if bar.is_error else None,
            linewidth=1.1,
        )
        ink_of_row = ink.error if bar.is_error else ink.muted
        _beside(axes, row, f"{bar.length_ms:,.1f} ms", 60, ink_of_row)
        if bar.is_error:
            _beside(axes, row, f"✗ {cut(bar.status, STATUS_CHARS) or 'error'}", 68, ink_of_row)
    axes.set_xlim(0, end_ms * 1.01)
    axes.set_ylim(max(2, len(tree.bars)) - 0.4, -0.6)
    axes.set_yticks(range(len(tree.bars)), [bar.name for bar in tree.bars])
    for tick, bar in zip(axes.get_yticklabels(), tree.bars, strict=True):
        tick.set_horizontalalignment("left")
        if bar.is_error:
            tick.set_color(ink.error)
    axes.grid(visible=False, axis="y")
    axes.set_title(tree.caption, loc="left", fontsize=8, color=ink.muted, pad=4)


def _beside(axes: Axes, row: int, words: str, points: float, color: str) -> None:
    """Words at a fixed distance right of the axis; numbers end there, sentences begin there."""
    axes.annotate(
        words,
        (1, row),
        xycoords=("axes fraction", "data"),
        xytext=(points, 0),
        textcoords="offset points",
        ha="left" if words.startswith("✗") else "right",
        va="center",
        fontsize=8,
        color=color,
    )


def _notes(tree: Tree) -> list[str]:
    notes = []
    if tree.hidden:
        notes.append(f"{tree.hidden} more spans of {tree.caption} are not drawn.")
    if tree.orphans:
        notes.append(f"{tree.orphans} spans of {tree.caption} have a parent that is missing.")
    return notes


def _say(tree: Tree) -> str:
    errors = [bar for bar in tree.bars if bar.is_error]
    total = max((bar.start_ms + bar.length_ms for bar in tree.bars), default=0.0)
    failed = f"{len(errors)} failed" if errors else "none failed"
    last = (
        f", deepest {errors[-1].name.strip()}: {errors[-1].status or 'no message'}"
        if errors
        else ""
    )
    head = tree.caption[:1].upper() + tree.caption[1:]
    return f"{head}: {len(tree.bars)} spans in {total:,.1f} ms, {failed}{last}."


def _is_true(value: object) -> bool:
    """Whether an error flag is set; an absent one (None, NaN) is not."""
    return bool(value) and value == value  # noqa: PLR0124  # NaN alone differs from itself
