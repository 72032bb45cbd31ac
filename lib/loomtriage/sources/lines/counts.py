"""How many log lines say what under one key? Files of any size, in constant memory.

Most lines are judged by one pattern; what it does not decide goes to the exact reader, with all
the lines that may belong to it, so that the counts are those of the exact reader.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pandas as pd

from loomtriage.errors import UsageError
from loomtriage.model import Window
from loomtriage.sources.lines.files import find_files
from loomtriage.sources.lines.parts import (
    OpenLog,
    codec_of,
    first_line_end,
    in_parts,
    last_line_end,
    open_log,
    part_count,
    read_into,
)
from loomtriage.sources.lines.reader import (
    MAX_JOINED,
    MAX_LINE_BYTES,
    Reading,
    read_apart,
)
from loomtriage.sources.lines.runs import (
    Row,
    RowReader,
    Value,
    in_step,
    is_decodable,
    text_of,
    value_of,
)

PIECE_BYTES = 1024 * 1024
MAX_PENDING_BYTES = 8 * 1024 * 1024
"""A traceback or wrapped object longer than this is counted in pieces."""
EXACT_PIECE_BYTES = 4 * 1024 * 1024
MAX_VALUES = 100_000


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a file, or a part of it, came to; `parsed_bytes + sum(skipped.values()) == size`.

    Attributes:
        per_value: lines in the window per value of the key, absent and null under empty text.
        parsed: lines with a time, in the window or not.
        skipped: bytes that are no log line, per class (the classes of `lines.Skip`).
        skipped_lines: the same in physical lines.
    """

    per_value: Counter[str] = field(default_factory=Counter)
    parsed: int = 0
    parsed_bytes: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    skipped_lines: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Take another part in."""
        self.per_value += other.per_value
        self.parsed += other.parsed
        self.parsed_bytes += other.parsed_bytes
        self.skipped += other.skipped
        self.skipped_lines += other.skipped_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The answer: lines per value, and the account of every byte.

    Attributes:
        by: the key.
        tallies: one per file that was read, by its name.
        unread: why the others were not, by their name.
    """

    by: str
    tallies: Mapping[str, Tally]
    unread: Mapping[str, str]

    def total(self) -> Tally:
        """All files together."""
        whole = Tally()
        for tally in self.tallies.values():
            whole.add(tally)
        return whole

    def table(self) -> pd.DataFrame:
        """Columns `<by>` and `lines`, most lines first, equal ones by name."""
        rows = sorted(self.total().per_value.items(), key=lambda item: (-item[1], item[0]))
        return pd.DataFrame(rows, columns=[self.by, "lines"])

    def skipped(self) -> pd.DataFrame:
        """Columns `file`, `class`, `lines`, `bytes`: what is no log line."""
        rows = [
            (name, kind, tally.skipped_lines[kind], size)
            for name, tally in self.tallies.items()
            for kind, size in sorted(tally.skipped.items())
        ]
        return pd.DataFrame(rows, columns=["file", "class", "lines", "bytes"])


def counts(
    paths: str | Path | Iterable[Path], by: str = "reason", *, window: Window | None = None
) -> Counts:
    """Count log lines by a key (a field of the lines, or `level`, `logger`, `event`).

    Raises:
        UsageError: the key has more than `MAX_VALUES` values, or is the time.
    """
    if by in ("ts", "timestamp"):
        raise UsageError("Lines are not counted by their time.", hint="Give a window instead.")
    tallies: dict[str, Tally] = {}
    unread: dict[str, str] = {}
    for file in find_files(paths):
        try:
            with open_log(file.path) as log:
                tallies[file.name] = _count(log, by, window)
        except OSError as error:
            unread[file.name] = error.strerror or str(error)
    return Counts(by=by, tallies=tallies, unread=unread)


def _count(log: OpenLog, by: str, window: Window | None) -> Tally:
    is_fast = codec_of(log.head) == "utf-8" and is_decodable(by)

    def part(start: int, stop: int) -> Tally:
        rows = RowReader(by, window=window) if is_fast else None
        return _Counter(log, by=by, window=window, rows=rows).run(start, stop)

    if not is_fast:
        return part(0, log.size)
    count = part_count(log.size)
    cuts = [0, *(in_step(log, by, log.size * number // count) for number in range(1, count))]
    edges = [*dict.fromkeys(cuts), log.size]
    whole = Tally()
    for tally in in_parts(part, list(pairwise(edges))):
        whole.add(tally)
    return whole


class _Counter:
    """One part of one file, from its first byte to its last."""

    def __init__(
        self, log: OpenLog, *, by: str, window: Window | None, rows: RowReader | None
    ) -> None:
        self._log, self._by, self._window, self._rows = log, by, window, rows
        self._codec = codec_of(log.head)
        self._values: Counter[Value] = Counter()
        self._tally = Tally()
        self._in_long_line = False
        self._buffer = bytearray()

    def run(self, start: int, stop: int) -> Tally:
        shortest = size = PIECE_BYTES if self._rows else EXACT_PIECE_BYTES
        while start < stop:
            if len(self._buffer) < size:  # a fresh one each time would cost more than reading
                self._buffer = bytearray(size)
            data = memoryview(self._buffer)[: min(size, stop - start)]
            data = data[: read_into(data, self._log.descriptor, start)]
            if not data:  # the file has become shorter
                break
            used = self._piece(data, is_last=start + size >= stop)
            start += used
            size = shortest if used else size * 2
            if len(self._values) + len(self._tally.per_value) > MAX_VALUES:
                raise UsageError(
                    f"{self._by!r} has more than {MAX_VALUES} values.",
                    hint="Count by a key with few values, or look one value up.",
                )
        for value, lines in self._values.items():
            self._tally.per_value[text_of(value, self._by)] += lines
        return self._tally

    def _piece(self, data: memoryview, *, is_last: bool) -> int:
        """Count what can be decided; how many bytes that was. The others are read again."""
        if self._in_long_line:
            return self._long_line(data)
        cut = last_line_end(self._buffer, self._codec, stop=len(data))
        if len(data) - cut > MAX_LINE_BYTES:
            self._decided(data[:cut], is_last=True)
            self._tally.skipped_lines["oversize"] += 1
            return cut + self._long_line(data[cut:])
        return self._decided(data if is_last else data[:cut], is_last=is_last)

    def _long_line(self, data: memoryview) -> int:
        """Account for more of a line that is too long to be one."""
        end = first_line_end(bytes(data), self._codec)
        self._in_long_line = not end
        self._tally.skipped["oversize"] += end or len(data)
        return end or len(data)

    def _decided(self, body: memoryview, *, is_last: bool) -> int:
        """Count whole lines, up to where the exact reader needs those that follow."""
        begin = 0 if self._rows is None else self._walk(body, self._rows)
        waiting = bytes(body[begin:])
        if not waiting:
            return len(body)
        reading = self._read([waiting])
        cut = len(waiting) if is_last else _settled(reading)
        if cut == 0 and len(waiting) > MAX_PENDING_BYTES:
            cut = len(waiting)
        if cut:
            self._add(reading if cut == len(waiting) else self._read([waiting[:cut]]))
        return begin + cut

    def _walk(self, body: memoryview, reader: RowReader) -> int:
        """Count the decoded lines and what stands between them; where the rest is undecided."""
        judged = reader.judge(body)
        edges: list[int] = [0, *judged.ends.tolist()]
        rows, lines, after = judged.rows, judged.lines, 0
        begin, parsed, parsed_bytes = len(body), len(rows), len(body)
        between: list[bytes] = []
        for place in judged.left:
            if place < after:
                continue
            after, text = _undecided(body, edges, rows=rows, place=place)
            if after > place + 1:
                lines.subtract(reader.values(rows[place:after]))
            parsed -= after - place
            parsed_bytes -= len(text)
            if after == len(rows):
                begin = edges[place]
            else:
                between.append(text)
        self._values.update(lines)
        self._tally.parsed += parsed
        self._tally.parsed_bytes += parsed_bytes
        self._add(self._read(between))  # at once: each reading costs as much as several lines
        return begin

    def _read(self, texts: Sequence[bytes]) -> Reading:
        return read_apart(texts, head=self._log.head)

    def _add(self, reading: Reading) -> None:
        tally = self._tally
        tally.parsed += len(reading.lines)
        tally.parsed_bytes += reading.parsed_bytes
        for line in reading.lines:
            if self._window is None or line.ts in self._window:
                tally.per_value[value_of(line, self._by)] += 1
        for skip in reading.skipped:
            tally.skipped[skip.kind] += skip.end - skip.start
            tally.skipped_lines[skip.kind] += skip.lines


def _undecided(
    body: memoryview, edges: list[int], *, rows: Sequence[Row | None], place: int
) -> tuple[int, bytes]:
    """From an undecided line up to where the exact reader would begin anew: its number, the bytes.

    That is the next line that was decoded. One that is as wide as the line before it may be part
    of a wrapped object; then it is the second of two side by side.
    """
    after, count = place + 1, len(rows)
    while after < count and rows[after] is None:
        after += 1
    text = bytes(body[edges[place] : edges[after]])
    if b"{" not in text:
        return after, text  # no object begins in it
    while after < count and (
        rows[after] is None or (rows[after - 1] is None and _is_as_wide(body, edges, after))
    ):
        after += 1
    return after, bytes(body[edges[place] : edges[after]])


def _is_as_wide(body: memoryview, edges: list[int], place: int) -> bool:
    """Whether the line is as wide as the one before it, in characters."""
    before = bytes(body[edges[place - 1] : edges[place]])
    line = bytes(body[edges[place] : edges[place + 1]])
    if before.isascii() and line.isascii() and b"\0" not in before:
        return len(before.rstrip(b"\r\n")) == len(line.rstrip(b"\r\n"))
    width = len(line.decode("utf-8", "replace").rstrip("\r\n"))
    text = before.decode("utf-8", "replace").lstrip("\ufeff").rstrip("\r\n")
    return width in (len(text), len(text.strip("\0")))


def _settled(reading: Reading) -> int:
    """Up to where a reading stays as it is, whatever follows."""
    until = reading.size
    for skip in reversed(reading.skipped):
        goes_on = skip.kind == "traceback" and skip.end == reading.size
        is_cut = skip.kind in ("broken_json", "truncated")
        if goes_on or (is_cut and skip.end > reading.size - 4 * MAX_JOINED - MAX_LINE_BYTES):
            until = skip.start
    return until
