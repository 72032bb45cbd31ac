"""API requests: the correlation id, span and log lines around every request."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass, field

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loomtriage.lab.api.writes import KINDS
from loomtriage.lab.telemetry.jsonlog import EventLog
from loomtriage.lab.telemetry.trace_context import Correlation, choose, parent_of

HEADER = "X-Request-Id"
QUIET_PATHS = frozenset({"/metrics", "/healthz"})
"""Scrapes and health checks: a trace each would bury those of users."""

_MAX_PATH_CHARS = 200


@dataclass(slots=True)
class _Response:
    """What has been sent so far."""

    status: int = 0
    sent_bytes: int = 0
    started_at: float = field(default_factory=time.monotonic)


class Correlated:
    """Gives every request its correlation id, a server span and two log lines.

    An exception inside ends in a 500 that carries both ids, and in `http.response` like any other.
    """

    def __init__(self, app: ASGIApp, *, tracer: Tracer, log: EventLog) -> None:
        self._app = app
        self._tracer = tracer
        self._log = log.bind(layer="middleware")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI event stream."""
        if scope["type"] != "http" or scope["path"] in QUIET_PATHS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        cid = QueryParams(scope["query_string"]).get("cid")
        correlation = choose(headers.get(HEADER), cid=cid, fresh=lambda: str(uuid.uuid4()))
        scope.setdefault("state", {})["correlation_id"] = correlation.value
        path = scope["path"][:_MAX_PATH_CHARS]
        parent = parent_of(headers.get("traceparent"), tracestate=headers.get("tracestate"))
        with self._tracer.start_as_current_span(
            _span_name(scope["method"], path),
            context=parent or Context(),
            kind=SpanKind.SERVER,
            attributes={
                "http.method": scope["method"],
                "http.target": path,
                "correlation_id": correlation.value,
                "wordloom.correlation_id": correlation.value,
            },
        ) as span:
            log = self._log.bind(
                correlation_id=correlation.value, method=scope["method"], path=path
            )
            self._received(log, correlation, cid)
            await self._answer(scope, receive, send, span=span, log=log)

    @staticmethod
    def _received(log: EventLog, correlation: Correlation, cid: str | None) -> None:
        log.emit(logging.INFO, "http.request_received", cid=cid)
        if correlation.refused:
            log.emit(logging.WARNING, "http.request_id_refused")

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, *, span: Span, log: EventLog
    ) -> None:
        response = _Response()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                response.status = message["status"]
                MutableHeaders(scope=message)[HEADER] = scope["state"]["correlation_id"]
            response.sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001  whatever it is, the caller gets an answer
            span.record_exception(error)
            log.emit(logging.ERROR, "http.unhandled", trouble=error)
            if not response.status:
                await _broken(scope)(scope, receive, watched)
        finally:
            span.set_attribute("http.status_code", response.status)
            if response.status >= 500 or not response.status:
                span.set_status(Status(StatusCode.ERROR, f"HTTP {response.status}"))
            log.emit(
                logging.INFO,
                "http.response",
                status_code=response.status,
                duration_ms=round((time.monotonic() - response.started_at) * 1000, 3),
                response_bytes=response.sent_bytes,
            )


def _span_name(method: str, path: str) -> str:
    kind = path.strip("/").partition("/")[0]
    return f"{method} /{kind}/{{id}}" if kind in KINDS else method


def _broken(scope: Scope) -> JSONResponse:
    context = trace.get_current_span().get_span_context()
    return JSONResponse(
        {
            "error": "internal error",
            "correlation_id": scope["state"]["correlation_id"],
            "trace_id": trace.format_trace_id(context.trace_id),
        },
        status_code=500,
    )
