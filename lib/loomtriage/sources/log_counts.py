"""How many log lines say what under one key? Files of any size, in constant memory.

Most lines are judged by one pattern; what it does not decide goes to the exact reader, with all
the lines that may belong to it, so that the counts are those of the exact reader.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pandas as pd

from loomtriage.errors import UsageError
from loomtriage.model import Window
from loomtriage.sources.lines import MAX_JOINED, MAX_LINE_BYTES, Reading, codec_of, read_lines
from loomtriage.sources.log_files import find_files
from loomtriage.sources.log_parts import (
    OpenLog,
    first_line_end,
    in_parts,
    last_line_end,
    open_log,
    part_count,
    read_part,
)
from loomtriage.sources.log_shape import Shape, bound, judge, shape, value_of, value_of_raw

PIECE_BYTES = 1024 * 1024
MAX_PENDING_BYTES = 8 * 1024 * 1024
"""A traceback or wrapped object longer than this is counted in pieces."""
TWO_BYTE_PIECE_BYTES = 16 * 1024 * 1024
MAX_VALUES = 100_000
_SYNC_BYTES = 4 * 1024 * 1024


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
    codec = codec_of(log.head)
    known = shape(by, head=log.head) if codec == "utf-8" else None

    def part(start: int, stop: int) -> Tally:
        counter = _Counter(log, by=by, window=window, known=known)
        return counter.run(start, stop)

    if known is None:
        return part(0, log.size)
    cuts = [0]
    for number in range(1, part_count(log.size)):
        near = log.size * number // part_count(log.size)
        cuts.append(_in_step(log, known, near))
    edges = [*dict.fromkeys(cuts), log.size]
    whole = Tally()
    for tally in in_parts(part, list(pairwise(edges))):
        whole.add(tally)
    return whole


def _in_step(log: OpenLog, known: Shape, near: int) -> int:
    """A place near which reading may begin anew: between two lines that the pattern proves.

    No traceback goes past a line that begins with a brace, and no wrapped object holds two whole
    ones that begin with their time side by side. 0 when there is no such place.
    """
    body = read_part(log.descriptor, near, min(near + _SYNC_BYTES, log.size))
    begin = body.find(b"\n") + 1
    end = body.rfind(b"\n") + 1
    lines, matches = judge(body[begin:end], known)
    place, before = near + begin, None
    for line, match in zip(lines, matches, strict=True):
        if before is not None and match is not None:
            return place
        place, before = place + len(line) + 1, match
    return 0


class _Counter:
    """One part of one file, from its first byte to its last."""

    def __init__(
        self, log: OpenLog, *, by: str, window: Window | None, known: Shape | None
    ) -> None:
        self._log, self._by, self._window, self._shape = log, by, window, known
        self._codec = codec_of(log.head)
        self._from = b"" if window is None else bound(window.start)
        self._until = b"" if window is None else bound(window.end)
        self._raw: Counter[bytes | None] = Counter()
        self._tally = Tally()
        self._in_long_line = False

    def run(self, start: int, stop: int) -> Tally:
        rest, size = b"", PIECE_BYTES if self._shape else TWO_BYTE_PIECE_BYTES
        while start < stop:
            piece = read_part(self._log.descriptor, start, min(start + size, stop))
            start = start + len(piece) if piece else stop
            rest = self._piece(rest + piece, is_last=start >= stop)
            if len(self._raw) + len(self._tally.per_value) > MAX_VALUES:
                raise UsageError(
                    f"{self._by!r} has more than {MAX_VALUES} values.",
                    hint="Count by a key with few values, or look one value up.",
                )
        for raw, lines in self._raw.items():
            self._tally.per_value[value_of_raw(raw, self._by)] += lines
        return self._tally

    def _piece(self, data: bytes, *, is_last: bool) -> bytes:
        """Count what can be decided; the rest waits for the next piece."""
        if self._in_long_line:
            data = self._long_line(data)
        cut = len(data) if is_last else last_line_end(data, self._codec)
        body, tail = data[:cut], data[cut:]
        waiting = body if self._shape is None else self._walk(body, self._shape)
        if len(tail) <= MAX_LINE_BYTES:
            return self._exactly(waiting, is_last=is_last) + tail
        self._exactly(waiting, is_last=True)
        self._tally.skipped_lines["oversize"] += 1
        return self._long_line(tail)

    def _long_line(self, data: bytes) -> bytes:
        """Account for more of a line that is too long to be one; what follows it."""
        end = first_line_end(data, self._codec)
        self._in_long_line = not end
        self._tally.skipped["oversize"] += end or len(data)
        return data[end:] if end else b""

    def _walk(self, body: bytes, known: Shape) -> bytes:
        """Count the proven lines and what stands between them; what is undecided at the end.

        What the exact reader must see goes on until two proven lines follow each other: there
        it would begin anew.
        """
        lines, matches = judge(body, known)
        end = b"" if lines[-1] else b"\n"
        if end:
            lines, matches = lines[:-1], matches[:-1]
        else:  # whether a line without its newline is cut off, only the exact reader knows
            matches[-1] = None
        waiting: list[bytes] = []
        proven: list[re.Match[bytes]] = []
        was_proven = False
        for line, match in zip(lines, matches, strict=True):
            if match is None:
                waiting.append(line)
                was_proven = False
            elif not waiting:
                proven.append(match)
            elif was_proven:
                self._exactly(b"\n".join((*waiting, b"")), is_last=True)
                waiting = []
                proven.append(match)
            else:
                waiting.append(line)
                was_proven = True
        self._count(proven)
        return b"\n".join(waiting) + end if waiting else b""

    def _count(self, proven: list[re.Match[bytes]]) -> None:
        self._tally.parsed += len(proven)
        self._tally.parsed_bytes += sum(match.end() for match in proven) + len(proven)
        if self._until:
            proven = [match for match in proven if self._from <= match[1] < self._until]
        self._raw.update([match[2] for match in proven])

    def _exactly(self, waiting: bytes, *, is_last: bool) -> bytes:
        """Let the exact reader decide; the bytes whose meaning hangs on what follows come back."""
        if not is_last and len(waiting) < MAX_PENDING_BYTES // 4:
            return waiting
        reading = self._read(waiting)
        cut = len(waiting) if is_last else _settled(reading)
        if cut == 0 and len(waiting) < MAX_PENDING_BYTES:
            return waiting
        cut = cut or len(waiting)
        self._add(reading if cut == len(waiting) else self._read(waiting[:cut]))
        return waiting[cut:]

    def _read(self, data: bytes) -> Reading:
        return read_lines(data, file="", head=self._log.head or data, max_lines=len(data) + 1)

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


def _settled(reading: Reading) -> int:
    """Up to where a reading stays as it is, whatever follows."""
    until = reading.size
    for skip in reversed(reading.skipped):
        goes_on = skip.kind == "traceback" and skip.end == reading.size
        is_cut = skip.kind in ("broken_json", "truncated")
        if goes_on or (is_cut and skip.end > reading.size - 4 * MAX_JOINED - MAX_LINE_BYTES):
            until = skip.start
    return until
