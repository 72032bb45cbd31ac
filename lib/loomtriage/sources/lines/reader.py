"""Log bytes -> log lines, every byte accounted for: parsed, or skipped with class and place."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate

from loomtriage.model import Window
from loomtriage.sources.json_text import Brackets
from loomtriage.sources.lines.line import ANSI, Line, read_line
from loomtriage.sources.lines.parts import codec_of, line_edges
from loomtriage.sources.lines.runs import outside
from loomtriage.sources.redact import redact, safe

MAX_LINE_BYTES = 1_000_000
MAX_LINES = 1_000_000
MAX_JOINED = 100_000
"""Characters that one hard-wrapped object may have."""
WRAP_FROM = 40
"""Consoles are wider than this; shorter full lines are no wrapping."""

_EXCEPTION = re.compile(
    r"^[A-Za-z_][\w.]{0,200}(?::\s|(?:Error|Exception|Interrupt|Exit|Timeout)\s*$)"
)
_CHAIN = ("During handling of", "The above exception")
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Bytes `[start, end)` that are no log line, from physical line `line` on.

    `kind` is one of `blank`, `zero_bytes`, `plain`, `traceback`, `oversize`, `too_deep`,
    `broken_json`, `bad_number`, `truncated`, `no_time`, `naive_time`, `bad_time`, `not_read`.
    """

    line: int
    start: int
    end: int
    kind: str
    lines: int = 1
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All lines of a file (those in the window, when one was given) and all skips.

    `parsed_bytes + skipped_bytes == size`, always. `first` and `last` are the earliest and latest
    time over every parsed line, in the window or not; `flags` counts the oddities of `lines`.
    """

    lines: tuple[Line, ...]
    skipped: tuple[Skip, ...]
    size: int
    parsed_bytes: int
    first: datetime | None = None
    last: datetime | None = None
    flags: Mapping[str, int]

    @property
    def skipped_bytes(self) -> int:
        """Bytes that are no log line."""
        return sum(skip.end - skip.start for skip in self.skipped)


def read_lines(
    data: bytes,
    *,
    file: str,
    window: Window | None = None,
    head: bytes | None = None,
    max_lines: int | None = None,
) -> Reading:
    """Read JSON log lines out of whatever the file holds; never raises.

    Args:
        data: the bytes; a slice may begin and end anywhere.
        file: name of the file, for the lines.
        window: keep only lines in it; all bytes are accounted for all the same.
        head: the file's first bytes when `data` is not its beginning.
        max_lines: the rest of the file is one skip; `MAX_LINES` when not given.
    """
    codec = codec_of(data if head is None else head)
    edges = line_edges(data, codec, MAX_LINES if max_lines is None else max_lines)
    reader = _Reader(data, file=file, window=window, codec=codec, edges=edges)
    return reader.read([len(edges) - 1])


def read_apart(texts: Sequence[bytes], *, head: bytes) -> Reading:
    """Read texts of one file, each as if it were alone, into one account; never raises.

    Args:
        texts: whole physical lines each, all of which are read.
        head: the file's first bytes.
    """
    data, codec = b"".join(texts), codec_of(head)
    edges = line_edges(data, codec, len(data) + 1)
    stops = [bisect_left(edges, end) for end in accumulate(map(len, texts))]
    return _Reader(data, file="", window=None, codec=codec, edges=edges).read(stops)


class _Reader:
    """One pass over the physical lines of one file."""

    def __init__(
        self, data: bytes, *, file: str, window: Window | None, codec: str, edges: array[int]
    ) -> None:
        self._data, self._file, self._window, self._codec = data, file, window, codec
        self._edges, self._count = edges, len(edges) - 1
        self._lines: list[Line] = []
        self._skips: list[_OpenSkip] = []
        self._parsed = 0
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._flags: dict[str, int] = {}
        self._budget = 0

    def read(self, stops: Iterable[int]) -> Reading:
        """Nothing before a stop, a number of lines, is part of anything behind it."""
        place = 0
        for stop in stops:
            self._count = stop
            # Joining that comes to nothing is paid from here, so that reading stays linear.
            self._budget = 4 * (self._edges[stop] - self._edges[place]) + MAX_JOINED
            while place < stop:
                place = self._take(place)
        if self._edges[-1] < len(self._data):
            self._skip(self._count, self._count + 1, "not_read", end=len(self._data))
        return Reading(
            lines=tuple(self._lines),
            skipped=tuple(skip.closed() for skip in self._skips),
            size=len(self._data),
            parsed_bytes=self._parsed,
            first=self._first,
            last=self._last,
            flags=self._flags,
        )

    def _text(self, place: int) -> str:
        piece = self._data[self._edges[place] : self._edges[place + 1]]
        return piece.decode(self._codec, "replace").lstrip("\ufeff").rstrip("\r\n")

    def _take(self, place: int) -> int:
        """Account for the physical line at `place` (and what belongs to it); the next place."""
        if self._edges[place + 1] - self._edges[place] > MAX_LINE_BYTES:
            return self._skip(place, place + 1, "oversize")
        text = self._text(place)
        bare = (ANSI.sub("", text) if "\x1b" in text else text).strip(" \t\r\x00")
        if not bare:
            return self._skip(place, place + 1, "zero_bytes" if "\x00" in text else "blank")
        if bare.startswith("{"):
            # Of lines outside the window only the time is needed.
            if self._window and (moment := outside(text, self._window)):
                return self._count_in(moment, place, place + 1)
            return self._object(place, text.strip("\x00"))
        if bare.startswith(_TRACEBACK):
            return self._traceback(place)
        return self._skip(place, place + 1, "plain")

    def _object(self, place: int, text: str) -> int:
        found = read_line(redact(text), file=self._file, line=place + 1)
        if found == "broken_json" and (joined := self._join(place, text)):
            whole, after = joined
            read = read_line(redact(whole), file=self._file, line=place + 1)
            if isinstance(read, Line):
                joined_line = replace(read, flags=tuple(sorted({*read.flags, "joined"})))
                return self._keep(joined_line, place, after)
        if isinstance(found, Line):
            return self._keep(found, place, place + 1)
        cut = found == "broken_json" and place + 1 == self._count and not self._is_ended(place)
        return self._skip(place, place + 1, "truncated" if cut else found)

    def _is_ended(self, place: int) -> bool:
        piece = self._data[self._edges[place] : self._edges[place + 1]]
        return piece.decode(self._codec, "replace").endswith("\n")

    def _join(self, place: int, text: str) -> tuple[str, int] | None:
        """Put a hard-wrapped object together again: full-width lines, then the shorter rest."""
        width, brackets, pieces, total = len(text), Brackets(), [text], len(text)
        if width < WRAP_FROM or place + 1 == self._count or brackets.feed(text):
            return None
        for at in range(place + 1, self._count):
            long = self._edges[at + 1] - self._edges[at] > 4 * MAX_JOINED
            if long or total > min(MAX_JOINED, self._budget):
                break
            piece = self._text(at)
            pieces.append(piece)
            total += len(piece)
            if brackets.feed(piece):
                return "".join(pieces), at + 1
            if len(piece) != width:
                break
        self._budget -= total
        return None

    def _keep(self, line: Line, place: int, after: int) -> int:
        if self._window is None or line.ts in self._window:
            self._lines.append(line)
            for flag in line.flags:
                self._flags[flag] = self._flags.get(flag, 0) + 1
        return self._count_in(line.ts, place, after)

    def _count_in(self, moment: datetime, place: int, after: int) -> int:
        self._parsed += self._edges[after] - self._edges[place]
        self._first = min(self._first or moment, moment)
        self._last = max(self._last or moment, moment)
        return after

    def _skip(
        self, place: int, after: int, kind: str, *, says: str = "", end: int | None = None
    ) -> int:
        start, stop = self._edges[place], self._edges[after] if end is None else end
        last = self._skips[-1] if self._skips else None
        if last and last.kind == kind and last.end == start and kind != "traceback":
            last.end = stop
            last.lines += 1
        else:
            self._skips.append(_OpenSkip(place + 1, start, stop, kind, after - place, says))
        return after

    def _traceback(self, place: int) -> int:
        """A raw traceback up to its exception, chained ones and hard wraps included."""
        at, says, widths, edges = place + 1, "", _Widths(), self._edges
        measured, indents = at, b" \t" if self._codec == "utf-8" else b""
        while at < self._count and edges[at + 1] - edges[at] <= MAX_LINE_BYTES:
            if self._data[edges[at]] in indents:  # belongs to it, whatever it says
                at += 1
                continue
            text = self._text(at)
            if text.startswith("{"):
                break
            if text.startswith(_TRACEBACK):
                says = ""
            if says and not text.startswith((" ", "\t", *_CHAIN)):
                for line in range(measured, at):
                    widths.take(len(self._text(line)))
                measured, wraps = at, widths.is_last_full()
                if not wraps and (text.strip() or not self._goes_on(at + 1)):
                    break
                says += text[: 400 - len(says)] if wraps else ""
            elif _EXCEPTION.match(text):
                says = text[:400]
            at += 1
        return self._skip(place, at, "traceback", says=safe(says, limit=120))

    def _goes_on(self, place: int) -> bool:
        return place < self._count and self._text(place).startswith((_TRACEBACK, *_CHAIN))


@dataclass(slots=True)
class _OpenSkip:
    """A skip that the next line may belong to."""

    line: int
    start: int
    end: int
    kind: str
    lines: int
    says: str

    def closed(self) -> Skip:
        return Skip(
            line=self.line,
            start=self.start,
            end=self.end,
            kind=self.kind,
            lines=self.lines,
            says=self.says,
        )


@dataclass(slots=True)
class _Widths:
    """How wide lines are, one after the other."""

    last: int = 0
    widest: int = 0
    as_wide: int = 0

    def take(self, width: int) -> None:
        """The next line."""
        if width > self.widest:
            self.widest, self.as_wide = width, 0
        self.as_wide += width == self.widest
        self.last = width

    def is_last_full(self) -> bool:
        """Whether the last line was wrapped: as wide as the widest, which several lines are."""
        return self.last == self.widest >= WRAP_FROM and self.as_wide > 1
