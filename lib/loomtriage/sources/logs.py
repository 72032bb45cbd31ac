"""Log lines from files: found, opened safely, read within the window, every byte accounted for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pandas as pd

from loomtriage.model import Finding, Frame, Kind, Signal, Window
from loomtriage.model.window import iso
from loomtriage.sources.lines.crash import crash_line
from loomtriage.sources.lines.files import LogFile, find_files
from loomtriage.sources.lines.line import Line, read_line
from loomtriage.sources.lines.lookup import table_of
from loomtriage.sources.lines.reader import Reading, read_lines
from loomtriage.sources.question import Question
from loomtriage.sources.source import Ask, frame_of, in_files, origin_of, probed
from loomtriage.sources.tape import RawAnswer, Tape, Unreadable

MAX_FILE_BYTES = 100 * 1024 * 1024
MAX_KEPT_BYTES = 64 * 1024 * 1024
"""Text of lines in the window that one answer holds."""
KEPT_OF_ODD_BYTES = 4096
"""Of a file without any line that has a time, where no other has one in the window."""
PLACES_SHOWN = 5
REMEMBERED_BYTES = 8 * 1024 * 1024
"""Each stage asks for the same lines; up to this size they are read once."""
_ABSENT = "Give log files with LOOMTRIAGE_LOGS (a file, a folder, a pattern, or - for stdin)."


class Logs:
    """The log source.

    Args:
        paths: files, or one text: a file, a folder (its `.log` and `.jsonl`), a pattern, or `-`
            for standard input. What exists under its literal name is that file, whatever
            characters are in it.
        tape: recorder or player.
        max_bytes: of one file; of a larger one the end is read.
        ask: replaces the files.
    """

    name = "logs"
    signal = Signal.LOGS

    def __init__(
        self,
        paths: str | Path | Iterable[Path],
        *,
        tape: Tape,
        max_bytes: int = MAX_FILE_BYTES,
        ask: Ask | None = None,
    ) -> None:
        self._paths, self._tape, self._max_bytes = paths, tape, max_bytes
        self._probe = in_files if ask else self._look
        self._ask = ask or (
            lambda question: read_files(
                find_files(self._paths), window=question.window, max_bytes=self._max_bytes
            )
        )

    def pull(self, question: Question) -> Frame:
        """Lines in the window, by time; skipped bytes stand in the caveats.

        A traceback that a file ends with is a line too, of the event `uncaught_exception`.
        """
        raw = self._tape.fetch(question.key, lambda: self._ask(question))
        return frame_of(
            Kind.LINES,
            origin_of(self.name, question, query="lines in the window", raw=raw),
            raw=raw,
            parse=_parse,
            appears="No line has a time in the window. Check the window, LOG_LEVEL and the files.",
        )

    def probe(self) -> Finding:
        """Whether the files are there, and how old the newest is."""
        return probed(
            self.name, self._tape.fetch("probe logs", self._probe), fine="They are there."
        )

    def _look(self) -> RawAnswer:
        files = find_files(self._paths)
        ages = []
        for file in files:
            try:
                read = file.read(max_bytes=4)
            except OSError:
                continue
            ages.append((datetime.now(UTC) - read.modified_at).total_seconds())
        if not ages:
            missing = "refused" if files else "not_configured"
            return RawAnswer(
                missing=missing,
                hint=f"No log file can be read{self._at()}. {_ABSENT}",
                media="txt",
            )
        newest = f"newest change {min(ages):.0f} s ago"
        says = f"{len(ages)} of {len(files)} log files can be read; {newest}."
        return RawAnswer(media="txt", hint=says)

    def _at(self) -> str:
        """Where they were looked for, for the doctor's reader alone: no run keeps it."""
        paths = self._paths
        given = [paths] if isinstance(paths, str | Path) else list(paths)
        return f" at {', '.join(str(one) for one in given[:3])}" if given else ""


def read_files(
    files: tuple[LogFile, ...], *, window: Window, max_bytes: int = MAX_FILE_BYTES
) -> RawAnswer:
    """The lines of all files that are in the window, as the tape keeps them.

    One JSON line each: file, first physical line, redacted text.
    """
    notes: list[str] = []
    readings: list[Reading] = []
    kept = _Kept()
    refused, odd = 0, b""
    for file in files:
        try:
            read = file.read(max_bytes=max_bytes)
        except FileNotFoundError:
            notes.append(f"partial: {file.name} is not there.")
            continue
        except OSError as error:
            refused += 1
            notes.append(f"partial: {file.name} was not read ({error.strerror or error}).")
            continue
        if read.cut:
            notes.append(
                f"truncated: of {file.name} the last {len(read.data)} of {read.size} bytes were "
                "read; line numbers count from there."
            )
        # In two-byte text a slice must begin on a whole character.
        data = read.data[(read.size - len(read.data)) % 2 :]
        reading = read_lines(data, file=file.name, window=window, head=read.head)
        readings.append(reading)
        crash = crash_line(data, reading, file=file.name, head=read.head)
        ended = (crash,) if crash and crash.ts in window else ()
        kept.add((*reading.lines, *ended))
        if reading.first is None:
            odd = odd or data[:KEPT_OF_ODD_BYTES]
        notes += _account(file.name, reading)
        if not reading.lines and read.modified_at < window.start:
            notes.append(
                f"stale: {file.name} was last written at {iso(read.modified_at)}, "
                "before the window."
            )
    if not readings:
        missing, why = ("refused", "could be read") if refused else ("not_configured", "was found")
        hint = f"No log file {why}. {_ABSENT}"
        return RawAnswer(media="jsonl", missing=missing, hint=hint, caveats=tuple(notes))
    notes += kept.notes()
    if kept.lines:
        return RawAnswer(body=kept.body(), media="jsonl", caveats=tuple(notes))
    hint = _nothing_in(window, readings)
    return RawAnswer(body=odd, media="txt", missing="empty", hint=hint, caveats=tuple(notes))


class _Kept:
    """Lines for the tape; of a file that copies another one only what is new.

    Two workers may write the same text in the same microsecond, so single repeats stay.
    """

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._texts: set[str] = set()
        self._doubles = self._left_out = self._size = 0

    def add(self, lines: Iterable[Line]) -> None:
        found = tuple(lines)
        known = {one.sha256 for one in found if one.sha256 in self._texts}
        is_copy = 2 * sum(one.sha256 in known for one in found) > len(found)
        self._texts |= {one.sha256 for one in found}
        for line in found:
            if is_copy and line.sha256 in known:
                self._doubles += 1
            elif self._size + len(line.raw) > MAX_KEPT_BYTES:
                self._left_out += 1
            else:
                self._size += len(line.raw)
                self.lines.append(line)

    def body(self) -> bytes:
        rows = ({"file": one.file, "line": one.line, "raw": one.raw} for one in self.lines)
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(
            "utf-8", "replace"
        )

    def notes(self) -> Iterator[str]:
        if self._doubles:
            yield f"{self._doubles} lines that a second file repeats were left out."
        if self._left_out:
            yield (
                f"truncated: {self._left_out} lines of the window were left out, "
                f"{MAX_KEPT_BYTES // 1024 // 1024} MiB are kept. Choose a shorter window."
            )


def _account(name: str, reading: Reading) -> Iterator[str]:
    if reading.skipped:
        kinds = sorted({skip.kind for skip in reading.skipped})
        parts = "; ".join(_class_in_words(kind, reading) for kind in kinds)
        yield (
            f"{name}: parsed {reading.parsed_bytes} bytes, skipped {reading.skipped_bytes} bytes "
            f"of {reading.size} ({parts})."
        )
    if reading.flags:
        flags = ", ".join(f"{flag} {count}" for flag, count in sorted(reading.flags.items()))
        yield f"{name}: odd but parsed lines: {flags}."
    for skip in [one for one in reading.skipped if one.kind == "traceback"][:PLACES_SHOWN]:
        yield f"{name}: a raw traceback at line {skip.line} ends with: {skip.says or 'nothing'}"


def _class_in_words(kind: str, reading: Reading) -> str:
    skips = [skip for skip in reading.skipped if skip.kind == kind]
    shown = ", ".join(
        str(s.line) if s.lines == 1 else f"{s.line}-{s.line + s.lines - 1}"
        for s in skips[:PLACES_SHOWN]
    )
    more = " …" if len(skips) > PLACES_SHOWN else ""
    return f"{kind}: {sum(s.lines for s in skips)} lines at {shown}{more}"


def _nothing_in(window: Window, readings: list[Reading]) -> str:
    """Never a silent "no logs": says which times there are, so that a wrong clock is seen."""
    firsts = [r.first for r in readings if r.first is not None]
    lasts = [r.last for r in readings if r.last is not None]
    if not firsts:
        return "No line has a time. At LOG_LEVEL=WARNING a healthy worker says nothing."
    return (
        f"The lines run from {iso(min(firsts))} to {iso(max(lasts))}, none is within {window}. "
        "Check the window, and the clock of the host that wrote them."
    )


def _parse(body: bytes) -> tuple[pd.DataFrame, tuple[str, ...]]:
    table = _remembered(body) if len(body) <= REMEMBERED_BYTES else _table(body)
    return table.copy(deep=False), ()  # whoever changes a column changes it for himself


@lru_cache(maxsize=1)
def _remembered(body: bytes) -> pd.DataFrame:
    return _table(body)


def _table(body: bytes) -> pd.DataFrame:
    return table_of(sorted(_played(body), key=lambda one: (one.ts, one.file, one.line)))


def _played(body: bytes) -> Iterator[Line]:
    for row in body.decode("utf-8", "replace").split("\n"):
        if not row:
            continue
        try:
            entry = json.loads(row)
            line = read_line(str(entry["raw"]), file=str(entry["file"]), line=int(entry["line"]))
        except (KeyError, RecursionError, TypeError, ValueError):
            raise Unreadable("damaged", "The recorded lines have another shape.") from None
        if isinstance(line, Line):
            yield line


SOURCE = Logs
