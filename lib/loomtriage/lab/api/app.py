"""API: takes writes of blocks, books and tags, and leaves an outbox row with each."""

from __future__ import annotations

import logging
from uuid import UUID

import psycopg
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from loomtriage.lab.api.requests import Correlated
from loomtriage.lab.api.writes import KINDS, Kind, Refusal, Write, Written, answers, delete, upsert
from loomtriage.lab.db_sessions import Sessions
from loomtriage.lab.serving import Guard
from loomtriage.lab.telemetry.jsonlog import EventLog, one_line
from loomtriage.lab.telemetry.meters import Meters

BODY_CAP_BYTES = 1024 * 1024
TRACER = "wordloom.api"
API_METRICS = ("produced", "trace_export_failures")

_REFUSALS = {
    Refusal.ABSENT: (404, "there is no such entity"),
    Refusal.IN_USE: (409, "the book still has blocks"),
}


class Api:
    """The endpoints."""

    def __init__(self, sessions: Sessions, *, meters: Meters, log: EventLog) -> None:
        self._sessions = sessions
        self._meters = meters
        self._log = log

    def routes(self) -> list[Route]:
        """Every route of the API."""
        return [
            Route("/healthz", self.healthz),
            Route("/metrics", self.metrics),
            Route("/{kind}/{id}", self.put, methods=["PUT"]),
            Route("/{kind}/{id}", self.remove, methods=["DELETE"]),
        ]

    async def healthz(self, request: Request) -> Response:
        """200 when the database answers."""
        del request
        try:
            await run_in_threadpool(self._ping)
        except psycopg.Error as error:
            return JSONResponse({"ok": False, "reason": one_line(error)}, status_code=503)
        return JSONResponse({"ok": True, "reason": None})

    def _ping(self) -> None:
        with self._sessions.borrow() as connection:
            answers(connection)

    async def metrics(self, request: Request) -> Response:
        """The metrics in Prometheus' text format."""
        del request
        text = generate_latest(self._meters.registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def put(self, request: Request) -> Response:
        """Create or change one entity."""
        target = _target(request)
        if target is None:
            return _say(404, "no such kind, or the id is no UUID")
        kind, entity_id = target
        try:
            write = Write.model_validate_json(await request.body())
        except ValidationError as error:
            return self._invalid(request, error)
        try:
            written = await run_in_threadpool(
                upsert,
                self._sessions,
                kind,
                entity_id=entity_id,
                write=write,
                correlation_id=request.state.correlation_id,
            )
        except psycopg.errors.ForeignKeyViolation:
            return _say(422, "there is no such book")
        except psycopg.OperationalError as error:
            return self._unavailable(request, error)
        return self._done(written, status=201 if written.is_new else 200)

    async def remove(self, request: Request) -> Response:
        """Delete one entity."""
        target = _target(request)
        if target is None:
            return _say(404, "no such kind, or the id is no UUID")
        kind, entity_id = target
        try:
            written = await run_in_threadpool(
                delete,
                self._sessions,
                kind,
                entity_id=entity_id,
                correlation_id=request.state.correlation_id,
            )
        except psycopg.OperationalError as error:
            return self._unavailable(request, error)
        if isinstance(written, Refusal):
            return _say(*_REFUSALS[written])
        return self._done(written, status=200)

    def _done(self, written: Written, *, status: int) -> Response:
        # Only here, after the commit: a rolled back write produced nothing.
        self._meters.add("produced", event_type=written.event_type, entity_type=written.entity_type)
        body = {
            "id": str(written.entity_id),
            "event_version": written.event_version,
            "outbox_event_id": str(written.outbox_event_id),
        }
        return JSONResponse(body, status_code=status)

    def _invalid(self, request: Request, error: ValidationError) -> Response:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        self._log.emit(
            logging.WARNING,
            "schema.validation_failed",
            layer="exception_handler",
            correlation_id=request.state.correlation_id,
            status_code=422,
            error_count=len(problems),
            errors=problems,
        )
        return JSONResponse({"error": "invalid body", "errors": problems}, status_code=422)

    def _unavailable(self, request: Request, error: Exception) -> Response:
        self._log.emit(
            logging.ERROR,
            "db.unavailable",
            layer="exception_handler",
            correlation_id=request.state.correlation_id,
            status_code=503,
            error=one_line(error),
        )
        return _say(503, "the database did not take the write")


def _target(request: Request) -> tuple[Kind, UUID] | None:
    kind = KINDS.get(request.path_params["kind"])
    try:
        entity_id = UUID(request.path_params["id"])
    except ValueError:
        return None
    return None if kind is None else (kind, entity_id)


def _say(status: int, error: str) -> JSONResponse:
    return JSONResponse({"error": error}, status_code=status)


def warm_api(meters: Meters) -> None:
    """Make every series appear at zero, so that the first write is an increase."""
    for kind in KINDS.values():
        for event in ("created", kind.changed, "deleted"):
            event_type = f"{kind.entity_type}.{event}"
            meters.add("produced", 0, event_type=event_type, entity_type=kind.entity_type)


def build_api(
    sessions: Sessions, *, provider: TracerProvider, meters: Meters, log: EventLog
) -> ASGIApp:
    """The API as an ASGI application; nothing is opened yet."""
    inner = Starlette(routes=Api(sessions, meters=meters, log=log).routes())
    correlated = Correlated(inner, tracer=provider.get_tracer(TRACER), log=log)
    return Guard(correlated, cap_bytes=BODY_CAP_BYTES)
