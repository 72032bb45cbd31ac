"""Jaeger: the `/api/v3` query API of Jaeger 2 over the span store."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from loomtriage.lab.otlp.spanstore import SpanStore, StoredSpan, Trace, TraceQuery
from loomtriage.lab.otlp.times import read_duration_ns, read_instant_ns
from loomtriage.lab.otlp.values import Json, show_resource, show_scope, show_span

MAX_TRACES = 5_000


def v3_routes(store: SpanStore) -> list[Route]:
    """The routes of the v3 API."""
    api = _V3(store)
    return [
        Route("/api/v3/services", answering(api.services, _problem)),
        Route("/api/v3/operations", answering(api.operations, _problem)),
        Route("/api/v3/traces", answering(api.find, _problem)),
        Route("/api/v3/traces/{trace_id}", answering(api.trace, _problem)),
    ]


def answering(
    call: Callable[[Request], Response], problem: Callable[[int, str], Response]
) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint of either API; a bad parameter becomes that API's own answer 400."""

    async def endpoint(request: Request) -> Response:
        # Async although nothing waits: SQLite stays on the one thread that receives spans.
        try:
            return call(request)
        except ValueError as error:
            return problem(400, str(error))

    return endpoint


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"error": {"httpCode": status, "message": message}}, status)


class _V3:
    """The calls of the v3 API."""

    def __init__(self, store: SpanStore) -> None:
        self._store = store

    def services(self, _request: Request) -> Response:
        return JSONResponse({"services": self._store.services()})

    def operations(self, request: Request) -> Response:
        service = request.query_params.get("service", "")
        if not service:
            raise ValueError("malformed parameter service: it is required")
        kind = _first(request.query_params, "span_kind", "spanKind").lower()
        found = self._store.operations(service, kind)
        return JSONResponse({"operations": [{"name": n, "spanKind": k} for n, k in found]})

    def find(self, request: Request) -> Response:
        traces = self._store.find(read_query(request.query_params))
        if not traces:
            return _problem(404, "No traces found")
        return JSONResponse({"result": {"resourceSpans": resource_spans(traces)}})

    def trace(self, request: Request) -> Response:
        trace_id = read_trace_id(request.path_params["trace_id"])
        trace = self._store.trace(trace_id)
        if not trace:
            return _problem(404, "trace not found")
        return JSONResponse({"result": {"resourceSpans": resource_spans([trace])}})


def read_trace_id(text: str) -> str:
    """A trace id of up to 32 hex digits.

    Raises:
        ValueError: it is none.
    """
    if not 0 < len(text) <= 32 or set(text.lower()) - set("0123456789abcdef"):
        raise ValueError(f"malformed parameter trace_id: {text!r} is no hexadecimal id")
    return text


def read_query(params: QueryParams) -> TraceQuery:
    """The query in the parameters of `GET /api/v3/traces`.

    Raises:
        ValueError: a required parameter is absent, or one is malformed.
    """
    start_ns = _required_instant(params, "query.startTimeMin", "query.start_time_min")
    end_ns = _required_instant(params, "query.startTimeMax", "query.start_time_max")
    if start_ns >= end_ns:
        raise ValueError("query.startTimeMin must be before query.startTimeMax")
    return TraceQuery(
        start_ns=start_ns,
        end_ns=end_ns,
        service=_first(params, "query.serviceName", "query.service_name"),
        operation=_first(params, "query.operationName", "query.operation_name"),
        attributes=_attributes(params),
        min_ns=_duration(params, "query.durationMin", "query.duration_min", default_ns=0),
        max_ns=_duration(
            params, "query.durationMax", "query.duration_max", default_ns=TraceQuery().max_ns
        ),
        limit=_depth(params),
    )


def _first(params: QueryParams, *names: str) -> str:
    return next((params[name] for name in names if params.get(name)), "")


def _required_instant(params: QueryParams, *names: str) -> int:
    text = _first(params, *names)
    try:
        return read_instant_ns(text)
    except ValueError as error:
        raise ValueError(f"malformed parameter {names[0]}: {error}") from error


def _duration(params: QueryParams, *names: str, default_ns: int) -> int:
    text = _first(params, *names)
    try:
        return read_duration_ns(text) if text else default_ns
    except ValueError as error:
        raise ValueError(f"malformed parameter {names[0]}: {error}") from error


def _depth(params: QueryParams) -> int:
    text = _first(params, "query.searchDepth", "query.search_depth", "query.num_traces") or "100"
    if not text.isdecimal() or not 0 < int(text) <= MAX_TRACES:
        raise ValueError(
            f"malformed parameter query.searchDepth: {text!r} is not 1 to {MAX_TRACES}"
        )
    return int(text)


def _attributes(params: QueryParams) -> Mapping[str, str]:
    text = params.get("query.attributes", "")
    if not text:
        return {}
    return read_texts(text, "query.attributes")


def read_texts(text: str, name: str) -> dict[str, str]:
    """A JSON object whose values are texts.

    Raises:
        ValueError: it is none.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"malformed parameter {name}: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise ValueError(f"malformed parameter {name}: expected an object of strings")
    return found


def resource_spans(traces: Sequence[Trace]) -> list[Json]:
    """Traces as OTLP/JSON: one entry per trace and resource, spans grouped by scope."""
    return [entry for trace in traces for entry in _trace_entries(trace)]


def _trace_entries(trace: Trace) -> list[Json]:
    groups: dict[bytes, dict[bytes, list[StoredSpan]]] = {}
    for stored in trace:
        resource = stored.resource.SerializeToString(deterministic=True)
        scope = stored.scope.SerializeToString(deterministic=True)
        groups.setdefault(resource, {}).setdefault(scope, []).append(stored)
    entries: list[Json] = []
    for scopes in groups.values():
        parts = list(scopes.values())
        entries.append(
            {
                "resource": show_resource(parts[0][0].resource),
                "scopeSpans": [
                    {
                        "scope": show_scope(part[0].scope),
                        "spans": [show_span(stored.span) for stored in part],
                    }
                    for part in parts
                ],
            }
        )
    return entries
