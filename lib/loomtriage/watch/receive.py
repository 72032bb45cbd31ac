"""Receive: how does a webhook come in over HTTP, bounded in size, time and number?"""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from loomtriage.errors import UsageError
from loomtriage.watch.gate import Gate, TurnedAway
from loomtriage.watch.inbox import Answer, Inbox
from loomtriage.watch.payload import read_delivery

PATH = "/alerts"
HEADER_S = 5.0
HEADER_BYTES = 16 * 1024
CONNECTIONS = 100
RETRY_AFTER_S = 30
_STATUS = {Answer.ACCEPTED: 202, Answer.KNOWN: 200, Answer.NOTHING_OPEN: 200, Answer.FULL: 503}


def application(
    gate: Gate, inbox: Inbox, *, wake: Callable[[], None], is_working: Callable[[], bool]
) -> Starlette:
    """The receiver: `POST /alerts` for Alertmanager, `GET /healthz` for whoever watches it.

    Args:
        gate: who may come in.
        inbox: where alerts are kept.
        wake: called when there is something to do.
        is_working: whether somebody does it; when not, `/healthz` answers 503.
    """

    async def alerts(request: Request) -> JSONResponse:
        try:
            body = await gate.admit(request)
            delivery = read_delivery(body)
        except TurnedAway as away:
            return _answer(away.status, says=away.says)
        except UsageError as error:
            return _answer(400, says=error.message)
        # On disk before the sender hears of it, and never in the way of other requests.
        try:
            answer, case = await asyncio.to_thread(inbox.accept, delivery, body)
        except sqlite3.Error as error:
            return _answer(503, says=f"The inbox does not work: {error}.")
        if answer is Answer.ACCEPTED:
            wake()
        return _answer(_STATUS[answer], says=answer.value, case=case)

    async def healthz(_: Request) -> JSONResponse:
        try:
            counts = dict(await asyncio.to_thread(inbox.counts))
        except sqlite3.Error:
            counts = {}
        is_well = bool(counts) and is_working()
        return JSONResponse({"ok": is_well, "jobs": counts}, status_code=200 if is_well else 503)

    return Starlette(
        routes=[Route(PATH, alerts, methods=["POST"]), Route("/healthz", healthz, methods=["GET"])]
    )


def _answer(status: int, *, says: str, case: str = "") -> JSONResponse:
    # One request a connection: a second one could be dripped without a bound.
    headers = {"Connection": "close"}
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"says": says, "case": case}, status_code=status, headers=headers)


class TimedProtocol(H11Protocol):
    """uvicorn's HTTP with what it lacks: a bound on how long request headers may take."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Close when too many are open, or when no request came in time."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()
            return
        self.loop.call_later(HEADER_S, self._too_slow)

    def _too_slow(self) -> None:
        # The scope is there as soon as the headers are.
        if getattr(self, "scope", None) is None and not self.transport.is_closing():
            self.transport.abort()


def server_for(app: Starlette) -> uvicorn.Server:
    """A server for the receiver; it ends orderly on SIGTERM and SIGINT."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=TimedProtocol,
            log_config=None,
            log_level=logging.ERROR,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            h11_max_incomplete_event_size=HEADER_BYTES,
            timeout_keep_alive=1,
            timeout_graceful_shutdown=2,
        )
    )


def listening(address: str) -> socket.socket:
    """A socket on `HOST:PORT`.

    Raises:
        UsageError: the address makes no sense, or is taken.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not int(port) < 65536:
        raise UsageError(
            f"{address[:80]!r} is no address to listen on.", hint="Write it like 127.0.0.1:9099."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host.strip("[]"), int(port)))
        sock.listen(128)
    except OSError as error:
        sock.close()
        raise UsageError(
            f"Cannot listen on {address}: {error.strerror}.", hint="Give another --listen."
        ) from None
    return sock
