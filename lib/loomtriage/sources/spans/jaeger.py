"""Trace documents -> spans: Jaeger v3 (OTLP JSON) and the older Jaeger form, without any I/O."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from loomtriage.sources.json_text import read_json
from loomtriage.sources.redact import safe
from loomtriage.sources.tape import Unreadable

_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_HEX = re.compile(r"^[0-9a-f]+$")
_OLDER_SCOPES = "instrumentationLibrarySpans"
_MAX_NS = 2**63 - 1
_BAD = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span.

    Attributes:
        trace_id, span_id, parent_id: lower-case hex of 32 and 16 digits; no parent is empty.
        service, operation, kind: as the contract's span table names them.
        start_ns: unix nanoseconds.
        duration_s: seconds, never negative.
        error: a failure; the 404 of a DELETE is none.
        status_message: what the span says about it.
        attributes: resource and span attributes, the span's win; `http.status_code` is an int,
            `exception.*` come from the last exception event, `links` are trace ids.
    """

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    operation: str
    kind: str
    start_ns: int
    duration_s: float
    error: bool
    status_message: str
    attributes: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """Spans of some documents, and how many more were unreadable."""

    spans: tuple[Span, ...]
    unreadable: int


def read_traces(body: bytes) -> Traces:
    """Spans of one or more JSON documents, one after another.

    Raises:
        Unreadable: the body is damaged, or a document is of neither form.
    """
    spans: list[Span] = []
    unreadable = 0
    for document in documents(body):
        found, bad = read_document(document)
        spans += found
        unreadable += bad
    if unreadable and not spans:
        raise Unreadable("wrong_content", f"None of {unreadable} spans can be read.")
    return Traces(spans=tuple(spans), unreadable=unreadable)


def documents(body: bytes) -> list[object]:
    """All JSON documents of a body: one, or several on lines of their own.

    Raises:
        Unreadable: one of them is damaged.
    """
    if b"\n" in body.strip():
        try:
            return [json.loads(line) for line in body.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            pass  # one document over several lines, or damaged: the check below tells
    return [read_json(body)] if body.strip() else []


def read_document(document: object) -> tuple[list[Span], int]:
    """Spans of one document, and how many more were unreadable.

    Raises:
        Unreadable: it is of neither form.
    """
    if isinstance(document, dict):
        inner = document.get("result", document)
        if isinstance(inner, dict) and isinstance(inner.get("resourceSpans"), list):
            return _gather(_v3(inner["resourceSpans"]))
        if isinstance(document.get("data"), list):
            return _gather(_legacy(document["data"]))
        if document.get("data", 0) is None or inner == {}:
            return [], 0
    raise Unreadable("wrong_content", f"No trace document: {safe(json.dumps(document)[:400])}")


def _gather(found: Iterator[Span | None]) -> tuple[list[Span], int]:
    spans, bad = [], 0
    for span in found:
        if span is None:
            bad += 1
        else:
            spans.append(span)
    return spans, bad


def _v3(resources: list[Any]) -> Iterator[Span | None]:
    for resource in resources:
        try:
            shared = _otlp_attributes((resource.get("resource") or {}).get("attributes"))
            scopes = resource.get("scopeSpans") or resource.get(_OLDER_SCOPES) or []
            raws = [raw for scope in scopes for raw in scope.get("spans") or []]
        except _BAD:
            yield None
            continue
        for raw in raws:
            try:
                yield _v3_span(raw, shared)
            except _BAD:
                yield None


def _v3_span(raw: Mapping[str, Any], shared: Mapping[str, object]) -> Span:
    attributes = {**shared, **_otlp_attributes(raw.get("attributes"))}
    status = raw.get("status") or {}
    events = [
        (e.get("name"), _otlp_attributes(e.get("attributes"))) for e in raw.get("events") or []
    ]
    links = [hex_id(link.get("traceId"), 32) for link in raw.get("links") or []]
    start, end = int(raw["startTimeUnixNano"]), int(raw["endTimeUnixNano"])
    return _span(
        ids=(
            hex_id(raw["traceId"], 32),
            hex_id(raw["spanId"], 16),
            hex_id(raw.get("parentSpanId"), 16),
        ),
        names=(str(shared.get("service.name", "")), str(raw["name"]), _kind(raw.get("kind"))),
        times=(start, end - start),
        attributes=_enriched(attributes, events, links),
        status=(status.get("code") in (2, "STATUS_CODE_ERROR"), str(status.get("message") or "")),
    )


def _legacy(traces: list[Any]) -> Iterator[Span | None]:
    for trace in traces:
        try:
            processes, raws = trace.get("processes") or {}, list(trace["spans"])
        except _BAD:
            yield None
            continue
        for raw in raws:
            try:
                yield _legacy_span(raw, processes)
            except _BAD:
                yield None


def _legacy_span(raw: Mapping[str, Any], processes: Mapping[str, Any]) -> Span:
    process = processes.get(raw.get("processID") or "") or raw.get("process") or {}
    attributes = {**_tags(process.get("tags")), **_tags(raw.get("tags"))}
    trace_id = hex_id(raw["traceID"], 32)
    parents: list[object] = []
    links: list[str] = []
    for reference in raw.get("references") or []:
        same = hex_id(reference["traceID"], 32) == trace_id
        if same and reference.get("refType") == "CHILD_OF" and not parents:
            parents.append(reference["spanID"])
        else:
            links.append(hex_id(reference["traceID"], 32))
    logged = [_tags(entry.get("fields")) for entry in raw.get("logs") or []]
    events = [(fields.get("event"), fields) for fields in logged]
    kind = str(attributes.pop("span.kind", "")) or "internal"
    return _span(
        ids=(trace_id, hex_id(raw["spanID"], 16), hex_id(parents[0] if parents else "", 16)),
        names=(str(process.get("serviceName", "")), str(raw["operationName"]), kind),
        times=(int(raw["startTime"]) * 1000, int(raw["duration"]) * 1000),
        attributes=_enriched(attributes, events, links),
        status=(
            attributes.get("otel.status_code") == "ERROR",
            str(attributes.get("otel.status_description", "")),
        ),
    )


def _span(
    *,
    ids: tuple[str, str, str],
    names: tuple[str, str, str],
    times: tuple[int, int],
    attributes: dict[str, object],
    status: tuple[bool, str],
) -> Span:
    if not 0 <= times[0] <= _MAX_NS or not ids[0] or not ids[1]:
        raise ValueError("a span without time or id")
    flagged = status[0] or str(attributes.get("error", "")).lower() == "true"
    gone = attributes.get("http.status_code") == 404 and (
        names[1].startswith("DELETE") or attributes.get("http.method") == "DELETE"
    )
    return Span(
        trace_id=ids[0],
        span_id=ids[1],
        parent_id=ids[2],
        service=names[0],
        operation=names[1],
        kind=names[2],
        start_ns=times[0],
        duration_s=max(0, times[1]) / 1e9,
        error=flagged and not gone,
        status_message=status[1],
        attributes=attributes,
    )


def _enriched(
    attributes: dict[str, object], events: list[tuple[object, dict[str, object]]], links: list[str]
) -> dict[str, object]:
    for name, fields in events:
        if name == "exception":
            for key in ("exception.type", "exception.message"):
                if key in fields:
                    attributes[key] = fields[key]
    if links:
        attributes["links"] = sorted({link for link in links if link})
    for key in ("http.status_code", "http.response.status_code"):
        text = str(attributes.get(key, ""))
        if text.isdigit() and len(text) == 3:
            attributes["http.status_code"] = int(text)
            break
    return attributes


def _tags(tags: object) -> dict[str, object]:
    return {str(tag["key"]): tag.get("value") for tag in tags} if isinstance(tags, list) else {}


def _otlp_attributes(pairs: object) -> dict[str, object]:
    if not isinstance(pairs, list):
        return {}
    return {str(pair["key"]): _otlp_value(pair.get("value")) for pair in pairs}


def _otlp_value(value: object) -> object:
    if not isinstance(value, dict) or not value:
        return None
    form, inner = next(iter(value.items()))
    if form == "intValue":
        return int(inner)
    if form == "arrayValue":
        return [_otlp_value(one) for one in inner.get("values") or []]
    if form == "kvlistValue":
        return _otlp_attributes(inner.get("values"))
    return inner


def _kind(value: object) -> str:
    if isinstance(value, str):
        return value.removeprefix("SPAN_KIND_").lower()
    return _KINDS.get(value, "internal") if isinstance(value, int) else "internal"


def hex_id(value: object, digits: int) -> str:
    """An id as hex; protobuf's own JSON writes ids in base64, older exports drop leading zeros.

    Raises:
        ValueError: it is neither.
    """
    text = str(value or "").lower()
    if not text or not text.strip("0"):
        return ""
    if len(text) <= digits and _HEX.match(text):
        return text.zfill(digits)
    try:
        raw = base64.b64decode(str(value), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) * 2 != digits:
        raise ValueError("an id is neither hex nor base64")
    return raw.hex()
