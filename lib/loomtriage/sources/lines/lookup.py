"""Which log lines carry this id? Found by its bytes, or by an index, and parsed only then."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from loomtriage.errors import UsageError
from loomtriage.model.frame import LINE_COLUMNS
from loomtriage.sources.lines.files import LogFile, find_files
from loomtriage.sources.lines.index import Index, Places, build_index, open_index
from loomtriage.sources.lines.line import Line
from loomtriage.sources.lines.parts import (
    BLOCK_BYTES,
    COUNT_BYTES,
    OpenLog,
    codec_of,
    count_newlines,
    even_parts,
    in_parts,
    last_line_end,
    open_log,
    read_part,
)
from loomtriage.sources.lines.reader import MAX_LINE_BYTES, read_lines
from loomtriage.sources.lines.runs import value_of

TWO_BYTE_PIECE_BYTES = 16 << 20
MAX_HITS = 100_000
AROUND_BYTES = 100_000
"""How much before and after a hit is read when its line is a piece of a hard-wrapped object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What was seen of one file.

    Attributes:
        size: bytes; every one was looked at, by us or by the one who made the index.
        lines_seen: physical lines.
        hits: physical lines that hold the value, whatever they are.
        no_rows: hits that are no log line with that key, by class (`other_key` when the value
            stands elsewhere in a log line).
        by_index: whether an index said where to look.
    """

    size: int
    lines_seen: int
    hits: int
    no_rows: Mapping[str, int]
    by_index: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The answer: lines by file and place, an account per file, and why others were not read."""

    lines: tuple[Line, ...]
    accounts: Mapping[str, Account]
    unread: Mapping[str, str]

    def table(self) -> pd.DataFrame:
        """The lines with the columns of a LINES frame, times in aware UTC."""
        return table_of(self.lines)


def table_of(lines: Iterable[Line]) -> pd.DataFrame:
    """Lines as a table with the columns of a LINES frame."""
    kept = list(lines)
    columns = {name: [getattr(one, name) for one in kept] for name in LINE_COLUMNS if name != "ts"}
    times = pd.to_datetime([one.ts for one in kept], utc=True)
    return pd.DataFrame({**columns, "ts": times}, columns=list(LINE_COLUMNS))


def lookup(
    paths: str | Path | Iterable[Path],
    value: str,
    *,
    key: str = "trace_id",
    cache: Path | None = None,
) -> Found:
    """All log lines whose `key` is `value`.

    Args:
        paths: a file, a folder or a pattern, as for the log source.
        value: the id as it is written in the files.
        key: a field of the lines, or `trace_id`, `span_id`, `event`, `logger`, `level`.
        cache: folder of indices; an index that fits the file is used, see `index_files`.

    Raises:
        UsageError: the value is empty or not plain ASCII text.
    """
    if not value or not value.isascii() or not value.isprintable() or set(value) & {'"', "\\"}:
        raise UsageError(f"{value[:60]!r} is no id.", hint="Give it as it stands in the lines.")
    lines: list[Line] = []
    accounts: dict[str, Account] = {}
    unread: dict[str, str] = {}
    for file in find_files(paths):
        try:
            with open_log(file.path) as log:
                search = _Search(log, file=file, key=key, value=value)
                index = None if cache is None else open_index(log, key=key, folder=cache)
                accounts[file.name] = search.by_index(index) if index else search.by_bytes()
                lines += search.lines
        except OSError as error:
            unread[file.name] = error.strerror or str(error)
    return Found(lines=tuple(lines), accounts=accounts, unread=unread)


def index_files(paths: str | Path | Iterable[Path], *, cache: Path, key: str = "trace_id") -> None:
    """Make an index of every file that has none, so that a look-up of that key need not read it.

    A file of two-byte text gets none, and one that cannot be read is left out.
    """
    for file in find_files(paths):
        try:
            with open_log(file.path) as log:
                is_plain = codec_of(log.head) == "utf-8"
                if is_plain and open_index(log, key=key, folder=cache) is None:
                    build_index(log, key=key, folder=cache)
        except OSError:
            continue


class _Search:
    """One value in one open file."""

    def __init__(self, log: OpenLog, *, file: LogFile, key: str, value: str) -> None:
        self._log, self._file, self._key, self._value = log, file, key, value
        self._codec, self._needle = codec_of(log.head), value.encode()
        self._wanted = value.lower() if key in ("trace_id", "span_id") else value
        self._no_rows: Counter[str] = Counter()
        self._wrapped: set[int] = set()
        self.lines: list[Line] = []

    def by_bytes(self) -> Account:
        """Read the whole file for the value's bytes; a value that a hard wrap cuts is not found.

        Two-byte text, which consoles wrap, is parsed instead.
        """
        if self._codec != "utf-8":
            return self._by_reading()
        answers = in_parts(self._scan, even_parts(self._log.size))
        newlines = np.concatenate([[0], np.cumsum(np.concatenate([one[1] for one in answers]))])
        places = [place for one in answers for place in one[0]]
        return self._account(places, newlines, is_indexed=False)

    def by_index(self, index: Index) -> Account:
        """Read the lines that the index names; another id with the same hash is no row."""
        return self._account(index.places(self._value), index.newlines, is_indexed=True)

    def _by_reading(self) -> Account:
        rest, at, before, hits = b"", 0, 0, 0
        while at < self._log.size:
            piece = read_part(self._log.descriptor, at, at + TWO_BYTE_PIECE_BYTES)
            at = at + len(piece) if piece else self._log.size
            rest += piece
            cut = len(rest) if at >= self._log.size else last_line_end(rest, self._codec)
            for line in self._read(rest[:cut]):
                if value_of(line, self._key) == self._wanted:
                    hits += 1
                    self.lines.append(replace(line, line=before + line.line))
            before += rest[:cut].decode(self._codec, "replace").count("\n")
            rest = rest[cut:]
        return Account(
            size=self._log.size, lines_seen=before, hits=hits, no_rows={}, by_index=False
        )

    def _read(self, data: bytes) -> tuple[Line, ...]:
        return read_lines(data, file=self._file.name, head=self._log.head).lines

    def _scan(self, start: int, stop: int) -> tuple[list[int], list[int]]:
        """Places of the value in a part, and newlines per block."""
        places: list[int] = []
        newlines: list[int] = []
        buffer = bytearray(BLOCK_BYTES + len(self._needle) - 1)
        codes = np.frombuffer(buffer, np.uint8)
        for at in range(start, stop, BLOCK_BYTES):
            size = os.preadv(self._log.descriptor, [buffer], at)
            own = min(BLOCK_BYTES, stop - at, size)
            newlines += count_newlines(codes[:own])
            found = buffer.find(self._needle, 0, size)
            while 0 <= found < own:
                places.append(at + found)
                found = buffer.find(self._needle, found + 1, size)
        return places, newlines

    def _account(self, places: list[int], newlines: Places, *, is_indexed: bool) -> Account:
        if len(places) > MAX_HITS:
            self._no_rows["not_read"] = len(places) - MAX_HITS
        starts: set[int] = set()
        for place in places[:MAX_HITS]:
            start, end = self._line_around(place)
            if start not in starts:
                starts.add(start)
                self._row(start, end, newlines)
        return Account(
            size=self._log.size,
            lines_seen=int(newlines[-1]) + self._has_open_end(),
            hits=len(starts),
            no_rows=dict(self._no_rows),
            by_index=is_indexed,
        )

    def _has_open_end(self) -> bool:
        last = read_part(self._log.descriptor, max(0, self._log.size - 1), self._log.size)
        return last not in (b"", b"\n")

    def _line_around(self, place: int) -> tuple[int, int]:
        """Bounds of the physical line; of a longer one what is left and right within the cap."""
        start, end, reach = place, place, 4096
        while True:
            low, high = max(0, place - reach), min(self._log.size, place + reach)
            data = read_part(self._log.descriptor, low, high)
            start = data.rfind(b"\n", 0, place - low) + 1
            end = data.find(b"\n", place - low) + 1
            is_whole = (start or low == 0) and (end or high == self._log.size)
            if is_whole or reach > MAX_LINE_BYTES:
                return low + start, low + (end or len(data))
            reach *= 8

    def _row(self, start: int, end: int, newlines: Places) -> None:
        data = read_part(self._log.descriptor, start, end)
        block = start // COUNT_BYTES
        before = read_part(self._log.descriptor, block * COUNT_BYTES, start).count(b"\n")
        number = int(newlines[block]) + before
        reading = read_lines(data, file=self._file.name, head=self._log.head)
        if not reading.lines:
            joined = self._joined(start, end, number)
            if not joined:
                self._no_rows[reading.skipped[0].kind] += 1
            self.lines += joined
        elif value_of(reading.lines[0], self._key) == self._wanted:
            self.lines.append(replace(reading.lines[0], line=number + 1))
        else:
            self._no_rows["other_key"] += 1

    def _joined(self, start: int, end: int, number: int) -> list[Line]:
        """The wrapped object that this physical line may be a piece of, unless it is known."""
        low = max(0, start - AROUND_BYTES)
        data = read_part(self._log.descriptor, low, min(end + AROUND_BYTES, self._log.size))
        skip = data.find(b"\n") + 1 if low else 0
        first = number - data[skip : start - low].count(b"\n")
        found = []
        for line in self._read(data[skip:]):
            place = first + line.line
            is_new = "joined" in line.flags and place not in self._wrapped
            if is_new and value_of(line, self._key) == self._wanted:
                self._wrapped.add(place)
                found.append(replace(line, line=place))
        return found
