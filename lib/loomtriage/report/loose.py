"""How is a mapping read whose shape nobody promised? Missing or odd parts become nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from loomtriage.errors import UsageError
from loomtriage.model import State
from loomtriage.model.window import parse_instant
from loomtriage.report.text import text

MAX_ITEMS = 100
_HEX = re.compile(r"[0-9a-fA-F]{40,}")


def mapping(value: object) -> Mapping[str, object]:
    """The value when it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def items(value: object, limit: int = MAX_ITEMS) -> tuple[object, ...]:
    """The first entries of a list; a single text counts as one entry."""
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(value[:limit]) if isinstance(value, Sequence) else ()


def beyond(value: object, limit: int = MAX_ITEMS) -> int:
    """How many entries of a list `items` leaves out."""
    return max(0, len(value) - limit) if isinstance(value, list | tuple) else 0


def maps(value: object) -> tuple[Mapping[str, object], ...]:
    """The mappings in a list."""
    return tuple(entry for entry in items(value) if isinstance(entry, Mapping))


def word(source: Mapping[str, object], *keys: str) -> str:
    """The first of these keys that holds something, as clean text."""
    for key in keys:
        value = source.get(key)
        if value is not None and value != "":
            return text(number(value)) if _is_number(value) else text(value)
    return ""


def state(value: object) -> State:
    """The state by its name; none is NO_DATA, a name that does not exist is itself an error."""
    if value is None:
        return State.NO_DATA
    try:
        return State(str(value))
    except ValueError:
        return State.ERROR


def number(value: object, unit: str = "") -> str:
    """A number for reading, with its unit; nothing for nothing."""
    if not _is_number(value):
        return ""
    figure = float(value)  # type: ignore[arg-type]  # _is_number has looked
    if not math.isfinite(figure):
        shown = "not a number" if math.isnan(figure) else "infinite"
    elif figure == int(figure):
        shown = f"{figure:,.0f}" if abs(figure) < 1e15 else f"{figure:.3g}"
    else:
        shown = f"{figure:,.2f}".rstrip("0") if abs(figure) >= 10 else f"{figure:.3g}"
    return f"{shown} {text(unit, limit=40)}".strip()


def share(value: object) -> str:
    """A share between 0 and 1 in percent; other words stay as they are."""
    if not _is_number(value):
        return text(value, limit=80)
    figure = float(value)  # type: ignore[arg-type]  # _is_number has looked
    return f"{figure * 100:.0f} %" if 0 <= figure <= 1 else number(figure)


def instant(value: object) -> datetime | None:
    """A moment, when the value is one."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else None
    try:
        return parse_instant(str(value)[:64])
    except UsageError:
        return None


def when(value: object) -> str:
    """A moment in UTC for reading; what is none stays as it is."""
    moment = instant(value)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else text(value, limit=64)


def window(value: object) -> str:
    """A window `{start, end}` in UTC with its length; nothing when there is none."""
    bounds = mapping(value)
    start, end = instant(bounds.get("start")), instant(bounds.get("end"))
    if start is None or end is None:
        return " to ".join(word(bounds, key) for key in ("start", "end") if word(bounds, key))
    last = f"{end:%H:%M:%S}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M:%S}"
    return f"{start:%Y-%m-%d %H:%M:%S} to {last} UTC ({length((end - start).total_seconds())})"


def length(seconds: float) -> str:
    """A duration for reading."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    days, hours = whole // 86400, whole % 86400 // 3600
    parts = ((days, "d"), (hours, "h"), (whole % 3600 // 60, "min"), (whole % 60, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def short(ref: str) -> str:
    """A reference with its hashes cut to what people compare by eye; a trace id stays whole."""
    return _HEX.sub(lambda match: match[0][:12] + "…", ref)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
