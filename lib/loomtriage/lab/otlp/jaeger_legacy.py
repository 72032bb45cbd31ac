"""Jaeger legacy: the search API that Jaeger had up to 2.20, in the shape that exports have."""

from __future__ import annotations

import json
import math
import time

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from loomtriage.lab.otlp.jaeger import MAX_TRACES, answering, read_texts, read_trace_id
from loomtriage.lab.otlp.spanstore import SpanStore, StoredSpan, Trace, TraceQuery
from loomtriage.lab.otlp.times import read_duration_ns
from loomtriage.lab.otlp.values import Json, is_error, kind_name, plain, service_of

_LOOKBACK = "48h"


def legacy_routes(store: SpanStore) -> list[Route]:
    """The routes of the older API."""
    api = _Legacy(store)
    return [
        Route("/api/services", answering(api.services, _problem)),
        Route("/api/services/{service:path}/operations", answering(api.operation_names, _problem)),
        Route("/api/operations", answering(api.operations, _problem)),
        Route("/api/traces", answering(api.find, _problem)),
        Route("/api/traces/{trace_id}", answering(api.trace, _problem)),
    ]


def _problem(code: int, message: str) -> Response:
    return JSONResponse({**_envelope(None, 0), "errors": [{"code": code, "msg": message}]}, code)


def _envelope(data: object, total: int) -> Json:
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": None}


class _Legacy:
    """The calls of the older API."""

    def __init__(self, store: SpanStore) -> None:
        self._store = store

    def services(self, _request: Request) -> Response:
        found = self._store.services()
        return JSONResponse(_envelope(found or None, len(found)))

    def operation_names(self, request: Request) -> Response:
        found = sorted({n for n, _ in self._store.operations(request.path_params["service"])})
        return JSONResponse(_envelope(found, len(found)))

    def operations(self, request: Request) -> Response:
        params = request.query_params
        service = _required_service(params)
        found = self._store.operations(service, params.get("spanKind", "").lower())
        shown = [{"name": name, "spanKind": kind} for name, kind in found]
        return JSONResponse(_envelope(shown, len(shown)))

    def find(self, request: Request) -> Response:
        traces = self._store.find(read_query(request.query_params))
        # Totals of a trace search are always 0 in Jaeger itself.
        return JSONResponse(_envelope([show_trace(trace) for trace in traces], 0))

    def trace(self, request: Request) -> Response:
        trace = self._store.trace(read_trace_id(request.path_params["trace_id"]))
        if not trace:
            return _problem(404, "trace not found")
        return JSONResponse(_envelope([show_trace(trace)], 0))


def _required_service(params: QueryParams) -> str:
    service = params.get("service", "")
    if not service:
        raise ValueError("parameter 'service' is required")
    return service


def read_query(params: QueryParams) -> TraceQuery:
    """The query in the parameters of `GET /api/traces`; start and end are Unix microseconds.

    Raises:
        ValueError: the service is absent, or a parameter is malformed.
    """
    now_ns = time.time_ns()
    lookback = params.get("lookback", "")
    back_ns = read_duration_ns(_LOOKBACK if lookback in ("", "custom") else lookback)
    limit = _number(params, "limit", 100)
    if not 0 < limit <= MAX_TRACES:
        raise ValueError(f"parameter 'limit' is not 1 to {MAX_TRACES}")
    attributes = read_texts(params["tags"], "tags") if params.get("tags") else {}
    for pair in params.getlist("tag"):
        key, colon, value = pair.partition(":")
        if not colon:
            raise ValueError(f"malformed 'tag' parameter, expecting key:value, received: {pair}")
        attributes[key] = value
    return TraceQuery(
        start_ns=_number(params, "start", (now_ns - back_ns) // 1000) * 1000,
        end_ns=_number(params, "end", now_ns // 1000 + 1) * 1000,
        service=_required_service(params),
        operation=params.get("operation", ""),
        attributes=attributes,
        min_ns=read_duration_ns(params["minDuration"]) if params.get("minDuration") else 0,
        max_ns=read_duration_ns(params["maxDuration"])
        if params.get("maxDuration")
        else TraceQuery().max_ns,
        limit=limit,
    )


def _number(params: QueryParams, name: str, default: int) -> int:
    text = params.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or len(text) > 16:
        raise ValueError(f"unable to parse param '{name}': {text!r} is no number")
    return int(text)


def show_trace(trace: Trace) -> Json:
    """One trace as Jaeger's own JSON."""
    processes: dict[bytes, str] = {}
    shown: dict[str, Json] = {}
    spans = []
    for stored in trace:
        body = stored.resource.SerializeToString(deterministic=True)
        name = processes.setdefault(body, f"p{len(processes) + 1}")
        tags = [pair for pair in stored.resource.attributes if pair.key != "service.name"]
        shown[name] = {"serviceName": service_of(stored.resource), "tags": _tags(tags)}
        spans.append(_span(stored, name))
    trace_id = trace[0].span.trace_id.hex()
    return {"traceID": trace_id, "spans": spans, "processes": shown, "warnings": None}


def _span(stored: StoredSpan, process: str) -> Json:
    span = stored.span
    return {
        "traceID": span.trace_id.hex(),
        "spanID": span.span_id.hex(),
        "operationName": span.name,
        "references": _references(span),
        "startTime": span.start_time_unix_nano // 1000,
        "duration": max(0, span.end_time_unix_nano - span.start_time_unix_nano) // 1000,
        "tags": _span_tags(stored),
        "logs": [
            {
                "timestamp": event.time_unix_nano // 1000,
                "fields": [_tag("event", value=event.name), *_tags(list(event.attributes))],
            }
            for event in span.events
        ],
        "processID": process,
        "warnings": None,
    }


def _references(span: Span) -> list[Json]:
    found = [("FOLLOWS_FROM", link.trace_id, link.span_id) for link in span.links]
    if any(span.parent_span_id):
        found.insert(0, ("CHILD_OF", span.trace_id, span.parent_span_id))
    return [
        {"refType": kind, "traceID": trace_id.hex(), "spanID": span_id.hex()}
        for kind, trace_id, span_id in found
    ]


def _span_tags(stored: StoredSpan) -> list[Json]:
    span = stored.span
    tags = _tags(list(span.attributes))
    tags.append(_tag("span.kind", kind_name(span)))
    if stored.scope.name:
        tags.append(_tag("otel.scope.name", stored.scope.name))
    if stored.scope.version:
        tags.append(_tag("otel.scope.version", stored.scope.version))
    if is_error(span):
        tags.append(_tag("error", value=True))
        tags.append(_tag("otel.status_code", "ERROR"))
        if span.status.message:
            tags.append(_tag("otel.status_description", span.status.message))
    return sorted(tags, key=lambda tag: str(tag["key"]))


def _tags(pairs: list[KeyValue]) -> list[Json]:
    return [_tag(pair.key, plain(pair.value)) for pair in pairs]


def _tag(key: str, value: object) -> Json:
    if isinstance(value, bool):
        return {"key": key, "type": "bool", "value": value}
    if isinstance(value, int):
        return {"key": key, "type": "int64", "value": value}
    if isinstance(value, float) and math.isfinite(value):
        return {"key": key, "type": "float64", "value": value}
    text = value if isinstance(value, str) else json.dumps(value)
    return {"key": key, "type": "string", "value": text}
