"""OTLP: the lab's trace collector, from OTLP over HTTP and gRPC to the Jaeger query API."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import grpc
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from loomtriage.lab.otlp.export_json import read_export, show_refused
from loomtriage.lab.otlp.jaeger import v3_routes
from loomtriage.lab.otlp.jaeger_legacy import legacy_routes
from loomtriage.lab.otlp.spanstore import SpanStore
from loomtriage.lab.serving import (
    BODY_CAP_BYTES,
    LOOPBACK,
    Endpoint,
    Guard,
    env_port,
    port_taken,
    read_body,
    serve,
)

_PROTOBUF = "application/x-protobuf"
_STOP_S = 0.5
_log = logging.getLogger(__name__)


def query_app(store: SpanStore) -> Starlette:
    """The Jaeger query API, the newer and the older one."""
    routes = [Route("/healthz", _healthz), *v3_routes(store), *legacy_routes(store)]
    return Starlette(routes=routes, middleware=[Middleware(Guard)])


def receiver_app(store: SpanStore) -> Starlette:
    """The OTLP/HTTP receiver."""
    routes = [
        Route("/healthz", _healthz),
        Route("/v1/traces", _receiver(store), methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard)])


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok")


def _receiver(store: SpanStore) -> Callable[[Request], Awaitable[Response]]:
    async def receive(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (_PROTOBUF, "application/json"):
            raise HTTPException(415, f"content type {kind!r} is neither protobuf nor JSON")
        body = await read_body(request)
        try:
            export = (
                ExportTraceServiceRequest.FromString(body)
                if kind == _PROTOBUF
                else read_export(body)
            )
        except (DecodeError, ValueError) as error:
            raise HTTPException(400, f"the body is no trace export: {error}") from error
        answer = _keep(store, export)
        if kind == _PROTOBUF:
            return Response(answer.SerializeToString(), media_type=_PROTOBUF)
        return JSONResponse(show_refused(answer))

    return receive


def _keep(store: SpanStore, export: ExportTraceServiceRequest) -> ExportTraceServiceResponse:
    answer = ExportTraceServiceResponse()
    refused = store.add(export)
    if refused:
        _log.warning("%d spans with a malformed id or time were refused", refused)
        answer.partial_success.rejected_spans = refused
        answer.partial_success.error_message = "malformed trace id, span id or time"
    return answer


class _Collector:
    """The OTLP/gRPC service, on the same thread as everything else."""

    def __init__(self, store: SpanStore) -> None:
        self._store = store

    async def Export(  # noqa: N802 - the name in the protocol
        self, request: ExportTraceServiceRequest, _context: object
    ) -> ExportTraceServiceResponse:
        """Keep one export."""
        return _keep(self._store, request)


async def serve_all(store: SpanStore) -> None:
    """Receive on both OTLP ports and answer queries, until SIGTERM."""
    collector = grpc.aio.server(
        options=(
            ("grpc.max_receive_message_length", BODY_CAP_BYTES),
            ("grpc.so_reuseport", 0),  # or a second lab would silently share the port
        )
    )
    join = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    join(_Collector(store), collector)  # type: ignore[no-untyped-call]
    port = env_port("LAB_OTLP_GRPC_PORT")
    try:
        collector.add_insecure_port(f"{LOOPBACK}:{port}")
    except RuntimeError as error:
        raise port_taken(port) from error
    await collector.start()
    try:
        await serve(
            [
                Endpoint(app=receiver_app(store), port=env_port("LAB_OTLP_HTTP_PORT")),
                Endpoint(app=query_app(store), port=env_port("LAB_PORT")),
            ]
        )
    finally:
        await collector.stop(_STOP_S)
