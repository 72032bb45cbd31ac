"""Which log lines can be decoded many at a time, without the exact reader?

A strict decoder takes the time and one value out of a run of lines. It never guesses: whatever
it refuses, and the few things that it takes and the exact reader does not, are left to that one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from operator import attrgetter
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt

from loomtriage.model import Window
from loomtriage.sources.lines.line import MAX_DEPTH, Line
from loomtriage.sources.lines.parts import OpenLog, read_part
from loomtriage.sources.redact import redact

MAX_ROW_BYTES = 4300
"""Python refuses a number of more digits, the decoder does not: longer lines are not decoded."""
MAX_KNOWN = 100_000
_SYNC_BYTES = 4 * 1024 * 1024

_UNFIT = ("ts", "timestamp", "message", "taskName")
"""Keys of which the exact reader makes something else than their own value."""
_ATTRIBUTES = ("level", "logger", "event", "message", "trace_id", "span_id")
_REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Text = bytes | memoryview
Value = str | int | None


class Row(msgspec.Struct, gc=False):
    """The time of a line, and what it says under one key."""

    ts: Moment
    value: Value = None


_VALUE = attrgetter("value")


class _Time(msgspec.Struct, gc=False):
    ts: Moment


_TIMES = msgspec.json.Decoder(_Time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The lines of a piece of a file.

    Attributes:
        ends: where each line ends, behind its newline.
        rows: what each line says; None where only the exact reader can tell.
        left: the places of those None, in order.
        lines: how many lines in the window say what.
    """

    ends: npt.NDArray[np.int64]
    rows: list[Row | None]
    left: list[int]
    lines: Counter[Value]


class RowReader:
    """Decodes lines for one key, those at an edge of the window excepted."""

    def __init__(self, key: str, *, window: Window | None = None) -> None:
        fields: list[tuple[str, object] | tuple[str, object, None]]
        fields = [("ts", Moment), ("value", Value, None)]
        row = msgspec.defstruct("Row", fields, bases=(Row,), rename={"value": key}, gc=False)
        self._decoder: msgspec.json.Decoder[Row] = msgspec.json.Decoder(row)
        self._key, self._window = key, window
        self._plain: set[Value] = {None}
        self._finder = _LineFinder()
        self._is_mixed = False  # whether a line of the last run was refused

    def judge(self, body: Text) -> Judged:
        """Decode the lines of UTF-8 text; a last one without its newline is left open."""
        ends, fits = self._finder.lines(body)
        rows: list[Row | None] = [None] * len(ends)
        edges = [0, *ends.tolist()]
        turns = np.flatnonzero(np.diff(fits, prepend=False, append=False)).tolist()
        for first, after in zip(turns[::2], turns[1::2], strict=True):
            rows[first:after] = run = self._run(body, edges[first : after + 1])
            if self._is_mixed:
                fits[first:after] = [row is not None for row in run]
        lines: Counter[Value] = Counter(map(_VALUE, filter(None, rows)))
        strange = {value for value in lines.keys() - self._plain if not self._is_plain(value)}
        if strange or self._window:
            # The decoder rounds what is finer than a microsecond, the exact reader cuts it off.
            bounds = (self._window.start, self._window.end) if self._window else ()
            for place, row in enumerate(rows):
                if row is not None and (row.value in strange or row.ts in bounds):
                    rows[place], fits[place] = None, False
            lines = Counter(self.values(rows))
        left = np.flatnonzero(~fits).tolist()
        return Judged(ends=ends, rows=rows, left=left, lines=lines)

    def values(self, rows: Iterable[Row | None]) -> Iterator[Value]:
        """What the decoded ones say that are in the window."""
        decoded = filter(None, rows)
        if (window := self._window) is None:
            return map(_VALUE, decoded)
        return (row.value for row in decoded if window.start <= row.ts < window.end)

    def _run(self, body: Text, edges: list[int]) -> Sequence[Row | None]:
        """Decode neighbouring lines together or, when one is refused, one by one.

        Each begins and ends with a brace, and no value holds `}` before a newline and `{`: so
        there are as many rows as lines only when every line is one.
        """
        try:
            rows = self._decoder.decode_lines(body[edges[0] : edges[-1]])
        except _REFUSALS:
            rows = []
        self._is_mixed = len(rows) != len(edges) - 1
        if not self._is_mixed:
            return rows
        return [self._one(body[a:b]) for a, b in pairwise(edges)]

    def _one(self, line: Text) -> Row | None:
        try:
            return self._decoder.decode(line)
        except _REFUSALS:
            return None

    def _is_plain(self, value: Value) -> bool:
        """Whether it says the same before and after redaction, however it was escaped."""
        if isinstance(value, str):
            fine = value.isprintable() and '"' not in value and "\\" not in value
            member = f'"{self._key}": "{value}"'
            if not fine or redact(member) != member:
                return False
        if len(self._plain) < MAX_KNOWN:
            self._plain.add(value)
        return True


def is_decodable(key: str) -> bool:
    """Whether the value of that key may be taken as it stands in a line."""
    member = f'"{key}": "x"'
    is_name = re.fullmatch(r"[\w.-]+", key, re.ASCII) is not None
    return is_name and key not in _UNFIT and redact(member) == member


def outside(text: str, window: Window) -> datetime | None:
    """The time of a line that is not in the window, as far as that is plain to see.

    What is finer than a microsecond is rounded.
    """
    if len(text) > MAX_ROW_BYTES or text.count("{") + text.count("[") > MAX_DEPTH:
        return None
    try:
        moment = _TIMES.decode(text).ts
    except (*_REFUSALS, UnicodeEncodeError):
        return None
    return None if moment in window or moment == window.end else moment


class _LineFinder:
    """Finds lines; its two scratch arrays are kept, since fresh ones cost more than the search."""

    def __init__(self) -> None:
        self._codes = np.empty(0, np.uint8)
        self._marks = np.empty(0, np.bool_)

    def lines(self, body: Text) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Where the lines end, and which of them may be decoded."""
        if len(self._codes) < len(body):
            self._codes, self._marks = np.empty(len(body), np.uint8), np.empty(len(body), np.bool_)
        codes, marks = np.frombuffer(body, np.uint8), self._marks[: len(body)]
        ends = np.flatnonzero(np.equal(codes, ord("\n"), out=marks)) + 1
        is_open = len(body) > 0 and codes[-1] != ord("\n")
        if is_open:
            ends = np.append(ends, len(body))
        starts = np.concatenate([[0], ends[:-1]])[: len(ends)]
        last, before_last = (codes[np.maximum(ends - back, 0)] for back in (2, 3))
        last = np.where(last == ord("\r"), before_last, last)
        fits = (codes[starts] == ord("{")) & (last == ord("}")) & (ends - starts <= MAX_ROW_BYTES)
        folded = np.bitwise_and(codes, 0xDF, out=self._codes[: len(body)])
        np.equal(folded, ord("["), out=marks)  # either bracket
        if np.count_nonzero(marks) - len(ends) >= MAX_DEPTH:
            before = np.searchsorted(np.flatnonzero(marks), [0, *ends])
            fits &= np.diff(before) <= MAX_DEPTH
        if is_open:
            fits[-1] = False
        return ends, fits


def value_of(line: Line, key: str) -> str:
    """What a parsed line says under a key, as text; absent and null are empty text."""
    value = getattr(line, key) if key in _ATTRIBUTES else line.fields.get(key)
    return "" if value is None else str(value)


def text_of(value: Value, key: str) -> str:
    """The same for a decoded value."""
    text = "" if value is None else str(value)
    return text.lower() if key in ("trace_id", "span_id") else text


def in_step(log: OpenLog, by: str, near: int) -> int:
    """A place near which reading may begin anew: between two lines that the decoder takes.

    No traceback goes past a line that begins with a brace, and no wrapped object holds two whole
    ones side by side. 0 when there is no such place.
    """
    body = read_part(log.descriptor, near, min(near + _SYNC_BYTES, log.size))
    begin = body.find(b"\n") + 1
    judged = RowReader(by).judge(body[begin:])
    pairs = enumerate(pairwise(judged.rows))
    place = next((n for n, pair in pairs if None not in pair), None)
    return 0 if place is None else near + begin + int(judged.ends[place])
