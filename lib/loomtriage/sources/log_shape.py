"""Which log lines can be judged by one pattern, without parsing them?

A writer's own lines are flat objects that begin with their time. One pattern proves such a line
valid JSON with a valid time and takes the time and one value out. It never guesses: of every
line that it does not match the exact reader decides.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from loomtriage.model import Window
from loomtriage.sources.line import Line
from loomtriage.sources.redact import redact

MAX_SHAPED_BYTES = 1_000_000
"""Longer lines are never judged here; the exact reader calls them `oversize`."""

_TIME = (
    rb"20[0-9]{2}-"
    rb"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    rb"|(?:0[13578]|1[02])-31)"
    rb"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{3}(?:[0-9]{3})?)?"
)
# 300 digits are below the limit above which Python refuses a number.
_SCALAR = rb"(?:-?(?:0|[1-9][0-9]{0,300}+)(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+|true|false|null)"
_ESCAPED = rb'"[^"\\]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\]*+)*+"'
_UNFIT = ("ts", "timestamp", "message", "taskName")
"""Keys of which the exact reader makes something else than their own value."""
_ATTRIBUTES = ("level", "logger", "event", "message", "trace_id", "span_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Two patterns: for lines without a backslash, and for lines with one.

    Group 1 is the time without its offset, group 2 the raw value of the key, if any. They hold
    for lines without control characters only (a carriage return at the end is none).
    """

    plain: re.Pattern[bytes]
    escaped: re.Pattern[bytes]


def shape(key: str = "", *, head: bytes = b"") -> Shape | None:
    """The patterns that take the value of `key` out; None when that key needs the exact reader.

    Without a key they take the time alone. The file's first bytes tell whether its writer puts
    blanks between names and values.
    """
    member = f'"{key}": "x"'
    if key in _UNFIT or not re.fullmatch(r"[\w.-]*", key, re.ASCII) or redact(member) != member:
        return None
    blank = b"" if b'{"ts":"' in head else b" "
    return Shape(
        plain=_pattern(key, blank=blank, name=rb'[^"]*+', text=rb'"[^"]*+"'),
        # A name spelled with escapes may be any name, so here names have none.
        escaped=_pattern(key, blank=blank, name=rb'[^"\\]*+', text=_ESCAPED),
    )


def _pattern(key: str, *, blank: bytes, name: bytes, text: bytes) -> re.Pattern[bytes]:
    """Time, other members, perhaps the wanted one, other members.

    A name that stands twice counts by its last value, so the time and the key stand once. Members
    with text come in runs, which saves a turn of the outer loop each.
    """
    key_name = re.escape(key.encode())
    unlike = rb'(?!ts"|' + key_name + rb'")' if key else rb'(?!ts")'
    member = b"," + blank + b'"' + unlike + name + b'":' + blank
    run = text + rb"(?:" + member + text + rb")*+"
    others = rb"(?:" + member + rb"(?:" + run + rb"|" + _SCALAR + rb"))*+"
    taken = rb'("[ !#-\[\]-~]*+"|' + _SCALAR + rb")"
    wanted = b"," + blank + b'"' + key_name + b'":' + blank + taken
    begin = rb'\{"ts":' + blank + b'"(' + _TIME + rb')(?:\+00:00|Z)"'
    middle = others + (rb"(?:" + wanted + others + rb")?+" if key else rb"()")
    return re.compile(begin + middle + rb"\}\r?\Z")


def bound(moment: datetime) -> bytes:
    """A moment as text that sorts among the times of group 1.

    Zeros at the end are cut: then a time is at or after the moment exactly when its text is.
    """
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text.rstrip("0").rstrip(".").encode() if moment.microsecond else text[:19].encode()


def judge(body: bytes, shape: Shape) -> tuple[list[bytes], list[re.Match[bytes] | None]]:
    """The lines of a piece of UTF-8 text and what the pattern proves of each; None is undecided."""
    lines = body.split(b"\n")
    plain, escaped = shape.plain.match, shape.escaped.match
    matches = [escaped(line) if b"\\" in line else plain(line) for line in lines]
    for number in _odd(body):
        matches[number] = None
    if len(body) >= MAX_SHAPED_BYTES:
        for number, line in enumerate(lines):
            if len(line) >= MAX_SHAPED_BYTES:
                matches[number] = None
    return lines, matches


def outside(known: Shape, text: str, window: Window | None) -> datetime | None:
    """The time of one line when the pattern proves it and it is outside the window."""
    if window is None or "\\" in text or not text.isprintable() or len(text) >= MAX_SHAPED_BYTES:
        return None
    match = known.plain.match(text.encode())
    if match is None:
        return None
    moment = datetime.fromisoformat(f"{match[1].decode()}+00:00")
    return None if moment in window else moment


def _odd(body: bytes) -> set[int]:
    """Numbers of the lines that hold a control character, from 0."""
    codes = np.frombuffer(body, np.uint8)
    if np.count_nonzero(codes < 32) == np.count_nonzero(codes == 10):
        return set()
    places = np.flatnonzero(codes < 32)
    found = codes[places]
    ends = places[found == 10]
    before_end = np.isin(places + 1, ends)
    strange = places[(found != 10) & ~((found == 13) & before_end)]
    return set(np.searchsorted(ends, strange).tolist())


def value_of(line: Line, key: str) -> str:
    """What a parsed line says under a key, as text; absent and null are empty text."""
    value = getattr(line, key) if key in _ATTRIBUTES else line.fields.get(key)
    return "" if value is None else str(value)


def value_of_raw(raw: bytes | None, key: str) -> str:
    """The same for a raw value that a pattern took."""
    value = None if raw is None else json.loads(redact(raw.decode("ascii")))
    text = "" if value is None else str(value)
    return text.lower() if key in ("trace_id", "span_id") else text
