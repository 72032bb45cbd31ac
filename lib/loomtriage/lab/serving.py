"""Serving: how a lab service listens on loopback, guards its requests and stops at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import zlib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass

import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loomtriage.errors import TriageError, UsageError

LOOPBACK = "127.0.0.1"
BODY_CAP_BYTES = 32 * 1024 * 1024
TOKEN_HEADER = "X-Lab-Token"  # noqa: S105 - the name of a header, not a secret

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_KEEP_ALIVE_S = 75
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One application and the loopback port it answers on."""

    app: ASGIApp
    port: int


def env_port(name: str) -> int:
    """The TCP port in an environment variable.

    Raises:
        UsageError: the variable is absent or no port.
    """
    text = os.environ.get(name, "")
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise UsageError(
            f"The environment variable {name} holds {text!r}, not a port.",
            hint="Start the lab with `loomtriage lab up`, which sets it.",
        )
    return int(text)


def is_loopback_host(host: str) -> bool:
    """Whether a Host header names this machine's loopback, which defeats DNS rebinding."""
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    return name in _LOOPBACK_HOSTS


class Guard:
    """Refuses what no lab client sends: foreign hosts, web pages, bodies beyond the cap."""

    def __init__(self, app: ASGIApp, cap_bytes: int = BODY_CAP_BYTES) -> None:
        self._app = app
        self._cap_bytes = cap_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403 or 413 without reading it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        refusal = self._refusal(headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        with contextlib.suppress(ClientDisconnect):  # a fault cut the connection: nobody listens
            await self._app(scope, self._counted(receive), send)

    def _refusal(self, headers: dict[str, str]) -> JSONResponse | None:
        if not is_loopback_host(headers.get("host", "")):
            return _refuse(403, "the Host header does not name the loopback")
        if "origin" in headers:
            return _refuse(403, "the lab does not answer web pages")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._cap_bytes:
            return _refuse(413, f"the body is larger than {self._cap_bytes} bytes")
        return None

    def _counted(self, receive: Receive) -> Receive:
        seen_bytes = 0

        async def counted() -> Message:
            nonlocal seen_bytes
            message = await receive()
            seen_bytes += len(message.get("body", b""))
            if seen_bytes > self._cap_bytes:
                raise HTTPException(413, f"the body is larger than {self._cap_bytes} bytes")
            return message

        return counted


def _refuse(status: int, reason: str) -> JSONResponse:
    return JSONResponse(
        {"error": reason, "status": status}, status_code=status, headers={"Connection": "close"}
    )


async def read_body(request: Request, cap_bytes: int = BODY_CAP_BYTES) -> bytes:
    """The request's body, unpacked when it is gzip.

    Raises:
        HTTPException: 413 when it unpacks to more than the cap, 400 when it is damaged,
            415 for another encoding.
    """
    raw = await request.body()
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity" or not raw:
        return raw
    if encoding != "gzip":
        raise HTTPException(415, f"content encoding {encoding} is not supported")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        body = unpacker.decompress(raw, cap_bytes + 1)
    except zlib.error as error:
        raise HTTPException(400, f"the gzip body is damaged: {error}") from error
    if len(body) > cap_bytes:
        raise HTTPException(413, f"the body is larger than {cap_bytes} bytes unpacked")
    if not unpacker.eof:
        raise HTTPException(400, "the gzip body ends too early")
    return body


def loopback_socket(port: int) -> socket.socket:
    """A TCP socket that listens on the loopback.

    Raises:
        UsageError: the port is taken.
    """
    # asyncio sets TCP_NODELAY only where the protocol is named; without it answers take 40 ms.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((LOOPBACK, port))
        sock.listen(256)
    except OSError as error:
        sock.close()
        raise port_taken(port) from error
    sock.settimeout(0)
    return sock


def port_taken(port: int) -> UsageError:
    """The error for a port that somebody else holds."""
    return UsageError(
        f"Port {port} on {LOOPBACK} is taken.",
        hint="Stop what listens there, or start the lab with `--ports auto`.",
    )


class _Server(uvicorn.Server):
    """A server that leaves POSIX signals to its caller, so that SIGTERM ends with exit code 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(endpoints: Sequence[Endpoint]) -> None:
    """Serve all endpoints until SIGTERM or SIGINT, then close every connection within 1 s."""
    sockets = [loopback_socket(endpoint.port) for endpoint in endpoints]
    servers = [_Server(_config(endpoint.app)) for endpoint in endpoints]
    pairs = zip(servers, sockets, strict=True)
    tasks = [asyncio.create_task(server.serve(sockets=[sock])) for server, sock in pairs]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
    )


def run(name: str, service: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run one service to its end; a refusal is logged and becomes the exit code."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"%(asctime)s %(levelname)s lab.{name} %(message)s",
    )
    try:
        asyncio.run(service())
    except TriageError as error:
        _log.error("%s", error)
        sys.exit(int(error.exit_code))
