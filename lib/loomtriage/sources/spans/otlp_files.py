"""Spans in OTLP JSON files: found, opened safely, cut down to the traces that were asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from loomtriage.model.window import iso
from loomtriage.sources.deadline import Deadline
from loomtriage.sources.lines.files import LogFile, find_files
from loomtriage.sources.question import Question
from loomtriage.sources.spans.belonging import meets
from loomtriage.sources.spans.otlp_text import Account, Read, read_spans
from loomtriage.sources.spans.trace_documents import only
from loomtriage.sources.tape import RawAnswer, Unreadable

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Read of one file, and unpacked from one that is packed."""
KEPT_OF_DAMAGE_BYTES = 4096
DEADLINE_S = 5.0
ENDINGS = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
_ABSENT = "Give OTLP JSON files with LOOMTRIAGE_TRACES (a file, a folder or a pattern)."


class SpanFiles:
    """What the trace source asks instead of a server.

    Args:
        paths: files, or one text: a file, a folder (its `.json` and `.jsonl`, packed or not), or
            a pattern. What exists under its literal name is that file.
        max_bytes: of one file; of a larger one the end is read.
    """

    def __init__(
        self, paths: str | Path | Iterable[Path], *, max_bytes: int = MAX_FILE_BYTES
    ) -> None:
        self._paths, self._max_bytes = paths, max_bytes

    def ask(self, question: Question) -> RawAnswer:
        """The traces that the question is about, one document a line."""
        files, deadline = find_files(self._paths, endings=ENDINGS), Deadline(DEADLINE_S)
        reading = _Reading(question=question)
        for number, file in enumerate(files):
            if not deadline.left_s:
                late = len(files) - number
                reading.notes.append(
                    f"partial: {late} of {len(files)} files were not read in time."
                )
                break
            self._read(file, reading)
        return reading.answer(len(files))

    def _read(self, file: LogFile, reading: _Reading) -> None:
        try:
            read = file.read(max_bytes=self._max_bytes)
        except FileNotFoundError:
            reading.notes.append(f"partial: {file.name} is not there.")
            return
        except OSError as error:
            reading.refused += 1
            reading.notes.append(f"partial: {file.name} was not read ({error.strerror or error}).")
            return
        account = Account()
        try:
            reading.found += read_spans(read, account=account, max_bytes=self._max_bytes)
        except Unreadable as bad:
            if reading.damage is None:
                reading.damage, reading.evidence = bad, read.data[:KEPT_OF_DAMAGE_BYTES]
            reading.notes.append(f"partial: {file.name} cannot be read ({bad.missing}).")
        else:
            reading.read += 1
            reading.notes += account.notes(file.name)

    def look(self) -> RawAnswer:
        """How many files can be read, and how old the newest is."""
        files = find_files(self._paths, endings=ENDINGS)
        ages = []
        for file in files:
            try:
                read = file.read(max_bytes=4)
            except OSError:
                continue
            ages.append((datetime.now(UTC) - read.modified_at).total_seconds())
        if not ages:
            missing = "refused" if files else "not_configured"
            return RawAnswer(missing=missing, hint=f"No trace file can be read. {_ABSENT}")
        newest = f"newest change {min(ages):.0f} s ago"
        says = f"{len(ages)} of {len(files)} trace files can be read; {newest}."
        return RawAnswer(media="txt", hint=says)


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What was found in the files so far."""

    question: Question
    notes: list[str] = field(default_factory=list)
    refused: int = 0
    read: int = 0
    damage: Unreadable | None = None
    evidence: bytes = b""
    found: list[Read] = field(default_factory=list)

    def answer(self, files: int) -> RawAnswer:
        notes = tuple(self.notes)
        if not self.read:
            if self.damage is not None:
                missing, hint = self.damage.missing, self.damage.hint
                return RawAnswer(
                    body=self.evidence, missing=missing, hint=hint, caveats=notes, media="txt"
                )
            missing, why = (
                ("refused", "can be read") if self.refused else ("not_configured", "is there")
            )
            hint = f"None of {files} trace files {why}. {_ABSENT}"
            return RawAnswer(missing=missing, hint=hint, caveats=notes, media="txt")
        chosen = self._chosen()
        kept = [
            only(document, lambda one: not one or one in chosen)
            for document, spans in self.found
            if not spans or not chosen.isdisjoint(span.trace_id for span in spans)
        ]
        body = "\n".join(json.dumps(one, separators=(",", ":")) for one in kept).encode()
        return RawAnswer(
            body=body, media="jsonl", hint="" if chosen else self._nothing(), caveats=notes
        )

    def _chosen(self) -> set[str]:
        """Traces with one span that meets the question, as a trace server would choose them."""
        question = self.question
        if question.trace_ids:
            return {one.lower().zfill(32) for one in question.trace_ids}
        return {span.trace_id for _, spans in self.found for span in spans if meets(span, question)}

    def _nothing(self) -> str:
        starts = [span.start_ns / 1e9 for _, spans in self.found for span in spans]
        if not starts:
            return "The trace files hold no span. Check the collector's file exporter."
        first, last = (datetime.fromtimestamp(f(starts), UTC) for f in (min, max))
        return (
            f"The spans run from {iso(first)} to {iso(last)}, and none answers the question. "
            "Check the window, and the clock of the host that wrote them."
        )
