"""Span store: which spans arrived, kept in SQLite so that they outlive the receiver.

Everything happens on one thread: a span is found by the first query after its export returned.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from loomtriage.lab.otlp.values import as_text, is_error, kind_name, service_of

MAX_SPANS = 1_000_000
_T = TypeVar("_T")
_LAST_NS = 2**63 - 1
_SEPARATOR, _EQUALS = "\x02", "\x01"
_CONTROL = {ord(_SEPARATOR): None, ord(_EQUALS): None}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS owners (id INTEGER PRIMARY KEY, digest BLOB UNIQUE, body BLOB);
CREATE TABLE IF NOT EXISTS spans (
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    duration_ns INTEGER NOT NULL,
    pairs TEXT NOT NULL,
    resource INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (trace_id, span_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_service ON spans (service, start_ns);
CREATE INDEX IF NOT EXISTS by_start ON spans (start_ns);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSpan:
    """One span with the resource and scope that it came with."""

    resource: Resource
    scope: InstrumentationScope
    span: Span


Trace = Sequence[StoredSpan]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceQuery:
    """Which traces are wanted: those with one span that meets every condition.

    Attributes:
        start_ns: earliest start of the span, Unix nanoseconds.
        end_ns: latest start of the span.
        service: service name, empty for any.
        operation: span name, empty for any.
        kind: span kind in lower case, empty for any.
        attributes: texts that attributes of the span, its resource or its events must have.
        min_ns: shortest duration.
        max_ns: longest duration.
        limit: number of traces, newest first.
    """

    start_ns: int = 0
    end_ns: int = _LAST_NS
    service: str = ""
    operation: str = ""
    kind: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    min_ns: int = 0
    max_ns: int = _LAST_NS
    limit: int = 100


class SpanStore:
    """The spans of one lab in one SQLite file."""

    def __init__(self, folder: Path, max_spans: int = MAX_SPANS) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "traces.sqlite"
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600))
        self._max_spans = max_spans
        self._owners: dict[bytes, int] = {}
        self._db = sqlite3.connect(path)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(_SCHEMA)
        self._count = 0
        self._recount()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, request: ExportTraceServiceRequest) -> int:
        """Keep all spans of an export; returns how many were refused for a malformed id or time.

        A span that arrives twice, because its exporter tried again, is kept once.
        """
        try:
            with self._db:
                refused = sum(self._add_group(group) for group in request.resource_spans)
                self._prune()
        except sqlite3.Error:
            self._owners.clear()  # rolled back: what was learnt of their numbers is void
            raise
        return refused

    def _add_group(self, group: ResourceSpans) -> int:
        refused = 0
        resource = self._owner(group.resource.SerializeToString(deterministic=True))
        for part in group.scope_spans:
            scope = self._owner(part.scope.SerializeToString(deterministic=True))
            for span in part.spans:
                if not _is_sound(span):
                    refused += 1
                    continue
                row = _row(StoredSpan(resource=group.resource, scope=part.scope, span=span))
                self._db.execute(
                    "INSERT OR REPLACE INTO spans VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                    (*row, resource, scope, span.SerializeToString()),
                )
                self._count += 1
        return refused

    def _owner(self, body: bytes) -> int:
        digest = hashlib.sha256(body).digest()
        if digest not in self._owners:
            self._db.execute(
                "INSERT OR IGNORE INTO owners (digest, body) VALUES (?,?)", (digest, body)
            )
            found = self._db.execute("SELECT id FROM owners WHERE digest = ?", (digest,)).fetchone()
            self._owners[digest] = int(found[0])
        return self._owners[digest]

    def _prune(self) -> None:
        if self._count > self._max_spans:
            self._recount()  # spans that arrived twice were counted twice
        if self._count <= self._max_spans:
            return
        self._db.execute(
            "DELETE FROM spans WHERE trace_id IN "
            "(SELECT trace_id FROM spans ORDER BY start_ns LIMIT ?)",
            (self._count - self._max_spans + self._max_spans // 10,),
        )
        self._recount()

    def _recount(self) -> None:
        self._count = int(self._db.execute("SELECT count(*) FROM spans").fetchone()[0])

    def services(self) -> list[str]:
        """Every service name, sorted."""
        # A loose index scan: one step per service instead of one per span.
        rows = self._db.execute(
            "WITH RECURSIVE seen(known) AS (SELECT min(service) FROM spans UNION ALL "
            "SELECT (SELECT min(service) FROM spans WHERE service > known) FROM seen "
            "WHERE known IS NOT NULL) SELECT known FROM seen WHERE known IS NOT NULL"
        )
        return [str(row[0]) for row in rows]

    def operations(self, service: str, kind: str = "") -> list[tuple[str, str]]:
        """Span name and kind of every operation of a service, sorted."""
        rows = self._db.execute(
            "SELECT DISTINCT name, kind FROM spans WHERE service = ? AND (? = '' OR kind = ?) "
            "ORDER BY name, kind",
            (service, kind, kind),
        )
        return [(str(name), str(found)) for name, found in rows]

    def find(self, query: TraceQuery) -> list[Trace]:
        """The traces that a query wants, newest first."""
        # Each condition is a constant text; what the caller sent is bound, never spliced in.
        where = ["start_ns BETWEEN ? AND ?", "duration_ns BETWEEN ? AND ?"]
        bound: list[object] = [query.start_ns, query.end_ns, query.min_ns, query.max_ns]
        for column, value in (
            ("service = ?", query.service),
            ("name = ?", query.operation),
            ("kind = ?", query.kind),
        ):
            if value:
                where.append(column)
                bound.append(value)
        for key, value in query.attributes.items():
            where.append("instr(pairs, ?) > 0")
            bound.append(_needle(key, value))
        rows = self._db.execute(
            "SELECT trace_id, max(start_ns) AS newest FROM spans WHERE "  # noqa: S608 - constants
            + " AND ".join(where)
            + " GROUP BY trace_id ORDER BY newest DESC, trace_id LIMIT ?",
            (*bound, query.limit),
        ).fetchall()
        return [trace for trace in (self.trace(str(row[0])) for row in rows) if trace]

    def trace(self, trace_id: str) -> Trace:
        """All spans of one trace by start, none when it is unknown; short ids are padded."""
        rows = self._db.execute(
            "SELECT resource, scope, spans.body FROM spans WHERE trace_id = ? "
            "ORDER BY start_ns, span_id",
            (trace_id.lower().rjust(32, "0"),),
        ).fetchall()
        resources = self._parsed({row[0] for row in rows}, Resource.FromString)
        scopes = self._parsed({row[1] for row in rows}, InstrumentationScope.FromString)
        return tuple(
            StoredSpan(
                resource=resources[row[0]], scope=scopes[row[1]], span=Span.FromString(row[2])
            )
            for row in rows
        )

    def _parsed(self, ids: Iterable[int], parse: Callable[[bytes], _T]) -> dict[int, _T]:
        found: dict[int, _T] = {}
        for owner_id in ids:
            row = self._db.execute("SELECT body FROM owners WHERE id = ?", (owner_id,)).fetchone()
            found[owner_id] = parse(row[0])
        return found


def _is_sound(span: Span) -> bool:
    return (
        len(span.trace_id) == 16
        and len(span.span_id) == 8
        and any(span.trace_id)
        and any(span.span_id)
        and span.start_time_unix_nano <= _LAST_NS
        and span.end_time_unix_nano <= _LAST_NS
    )


def _row(stored: StoredSpan) -> tuple[str, str, str, str, str, int, int, str]:
    span = stored.span
    start_ns = span.start_time_unix_nano
    return (
        span.trace_id.hex(),
        span.span_id.hex(),
        service_of(stored.resource),
        span.name,
        kind_name(span),
        start_ns,
        max(0, span.end_time_unix_nano - start_ns),
        _SEPARATOR + "".join(_needle(k, v)[1:] for k, v in _pairs(stored)),
    )


def _pairs(stored: StoredSpan) -> Iterator[tuple[str, str]]:
    """Everything that a search by attribute may meet, also what Jaeger derives as tags."""
    span = stored.span
    groups = [span.attributes, stored.resource.attributes]
    for group in (*groups, *(event.attributes for event in span.events)):
        for pair in group:
            yield pair.key, as_text(pair.value)
    yield "span.kind", kind_name(span)
    if stored.scope.name:
        yield "otel.scope.name", stored.scope.name
    if is_error(span):
        yield "error", "true"
        yield "otel.status_code", "ERROR"


def _needle(key: str, value: str) -> str:
    """One pair as it stands in the `pairs` text, with its separators, so that only it matches."""
    key, value = key.translate(_CONTROL), value.translate(_CONTROL)
    return f"{_SEPARATOR}{key}{_EQUALS}{value}{_SEPARATOR}"
