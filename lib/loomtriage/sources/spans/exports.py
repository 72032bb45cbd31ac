"""Exported Jaeger searches of a Wordloom run -> one answer without the traces of other runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loomtriage.contract.keys import read_key
from loomtriage.model import Window
from loomtriage.sources.files import read_file
from loomtriage.sources.json_text import read_json
from loomtriage.sources.question import Question
from loomtriage.sources.spans.jaeger import Span, read_traces
from loomtriage.sources.tape import RawAnswer, Unreadable

MAX_EXPORT_BYTES = 64 * 1024 * 1024
SATURATED = (20, 50)
"""Limits of Wordloom's own searches; a list of exactly that length is cut off."""
_FILE = re.compile(r"^jaeger-traces.*?-(\d{8}T\d{6})\.json$")
_STAMPED = re.compile(r"^jaeger-.*-(\d{8}T\d{6})\.json$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exports:
    """All trace exports of a run.

    Attributes:
        traces: trace objects in the older Jaeger form.
        spans: the same, read.
        stamps: when the exports were made (aware UTC, from the file names).
        missing, hint: why there is none.
        caveats: truncated and unreadable exports.
    """

    traces: tuple[dict[str, Any], ...] = ()
    spans: tuple[Span, ...] = ()
    stamps: tuple[datetime, ...] = ()
    missing: str = ""
    hint: str = ""
    caveats: tuple[str, ...] = ()

    def answer(self, question: Question, *, run: Window) -> RawAnswer:
        """The traces of this run; service and operation were chosen by the export already."""
        caveats = list(self.caveats)
        wanted = {one.lower() for one in question.trace_ids}
        kept, foreign_spans, foreign_traces = [], 0, 0
        for trace in self.traces:
            spans = [span for span in trace["spans"] if _start(span) in run]
            foreign_spans += len(trace["spans"]) - len(spans)
            foreign_traces += not spans
            if spans and (not wanted or str(trace.get("traceID", "")).lower() in wanted):
                kept.append({**trace, "spans": spans})
        if foreign_spans:
            caveats.append(
                f"foreign: {foreign_spans} spans of other runs were left out ({foreign_traces} of "
                f"{len(self.traces)} exported traces are of other runs alone)."
            )
        body = json.dumps({"data": kept}, separators=(",", ":")).encode() if kept else b""
        return RawAnswer(
            body=body, missing=self.missing, hint=self.hint, caveats=tuple(caveats), media="jsonl"
        )

    def rows(self, run: Window) -> set[str]:
        """Outbox rows that spans of this run name."""
        inside = [s for s in self.spans if datetime.fromtimestamp(s.start_ns / 1e9, UTC) in run]
        return {read_key("outbox_event_id", s.attributes).lower() for s in inside} - {""}

    def last_end(self, *, since: float) -> float:
        """Unix seconds at which the last span ends that started at or after `since`; 0 for none."""
        ends = (s.start_ns / 1e9 + s.duration_s for s in self.spans if s.start_ns / 1e9 >= since)
        return max(ends, default=0.0)


def read_exports(folder: Path, *, run_folder: Path) -> Exports:
    """Read `_exports`; a run without one says why, as far as its exporter told."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    stamps = tuple(_stamp(m[1]) for p in paths if (m := _STAMPED.match(p.name)))
    traces: list[dict[str, Any]] = []
    caveats: list[str] = []
    damage: Unreadable | None = None
    for path in paths:
        if _FILE.match(path.name):
            try:
                found = list(_traces(path))
            except Unreadable as bad:
                damage = bad
                caveats.append(f"partial: one trace export cannot be read ({bad.missing}).")
                continue
            traces += found
            if len(found) in SATURATED:
                caveats.append(f"truncated: a trace export holds {len(found)} traces, its limit.")
    if damage is not None and not traces:
        return Exports(stamps=stamps, missing=damage.missing, hint=damage.hint)
    if not any(_FILE.match(path.name) for path in paths):
        missing, hint = _why_none(run_folder)
        return Exports(stamps=stamps, missing=missing, hint=hint)
    spans = read_traces(json.dumps({"data": traces}).encode()).spans if traces else ()
    return Exports(traces=tuple(traces), spans=spans, stamps=stamps, caveats=tuple(caveats))


def _traces(path: Path) -> Iterator[dict[str, Any]]:
    try:
        document = read_json(read_file(path, max_bytes=MAX_EXPORT_BYTES).data)
    except OSError as error:
        raise Unreadable("refused", f"A trace export was not read ({error}).") from None
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, list):
        raise Unreadable("wrong_content", "A trace export holds no list of traces.")
    for trace in data:
        if isinstance(trace, dict) and isinstance(trace.get("spans"), list):
            yield {**trace, "spans": [span for span in trace["spans"] if isinstance(span, dict)]}


def _start(span: dict[str, Any]) -> datetime:
    try:
        return datetime.fromtimestamp(int(span["startTime"]) / 1e6, UTC)
    except (KeyError, OSError, OverflowError, TypeError, ValueError):
        return datetime.fromtimestamp(0, UTC)


def _stamp(text: str) -> datetime:
    """The time in a file name; Wordloom writes it in UTC without saying so."""
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def _why_none(run_folder: Path) -> tuple[str, str]:
    try:
        said = read_file(run_folder / "_export_jaeger.stderr.txt", max_bytes=65536).data
    except OSError:
        said = b""
    if b"ConnectError" in said or b"refused" in said:
        return "refused", "Nothing answered the exporter at the trace server's address."
    return "not_recorded", "This run exported no traces. Export them, or ask a live trace source."
