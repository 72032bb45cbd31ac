"""Proxy gate: what happens to each connection and request between the worker and its target."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import struct
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus

from loomtriage.lab.elastic.errors import answer_for
from loomtriage.lab.proxy.fault_book import Rule
from loomtriage.lab.proxy.wire import (
    HEAD_CAP_BYTES,
    Framing,
    Head,
    Nowhere,
    WireError,
    framing_of_request,
    framing_of_response,
    pass_body,
    read_head,
)
from loomtriage.lab.serving import BODY_CAP_BYTES, LOOPBACK

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_NO_CAP_BYTES = 1 << 62
_log = logging.getLogger(__name__)

Choose = Callable[[str, str], Rule | None]
"""Method and path of a request to the rule that answers it, None to pass it on."""


class Traffic:
    """What went through the gate, counted independently of the worker."""

    def __init__(self) -> None:
        self.requests = 0
        self.answered = 0
        self.unanswered = 0
        self.passed: Counter[int] = Counter()


class Gate:
    """All open connections, and the way of a request through one of them."""

    def __init__(self, target_port: int, choose: Choose) -> None:
        self.traffic = Traffic()
        self.choose = choose
        self.target_port = target_port
        self._open: dict[_Connection, asyncio.Task[None]] = {}

    def welcome(self, sock: socket.socket) -> None:
        """Serve an accepted connection until one side ends it."""
        connection = _Connection(sock, self)
        task = asyncio.create_task(connection.serve())
        self._open[connection] = task
        task.add_done_callback(lambda _: self._open.pop(connection, None))

    def abort_all(self) -> int:
        """Reset every open connection; returns how many there were."""
        for connection, task in self._open.items():
            connection.reset()
            task.cancel()
        count = len(self._open)
        self._open.clear()
        return count


class _Connection:
    """One connection of a client, and the one to the target that belongs to it."""

    def __init__(self, sock: socket.socket, gate: Gate) -> None:
        self._sock = sock
        self._gate = gate
        self._client: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._target: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def reset(self) -> None:
        """End both sides at once, the client's with RST, as when a service dies."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        for side in (self._client, self._target):
            if side is not None:
                side[1].transport.abort()
        if self._client is None:
            self._sock.close()

    async def serve(self) -> None:
        """Pass requests on one after the other."""
        try:
            self._sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
            self._client = await asyncio.open_connection(sock=self._sock, limit=HEAD_CAP_BYTES)
            while await self._one_request(*self._client):
                pass
            await self._close()
        except (WireError, OSError) as error:
            # A broken half cannot be told to the other half in HTTP: it is broken for both.
            self._gate.traffic.unanswered += 1
            _log.info("connection reset: %s", error)
            self.reset()

    async def _one_request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        head = await read_head(reader)
        if head is None:
            return False
        method = head.start[0]
        self._gate.traffic.requests += 1
        framing = framing_of_request(head)
        if framing.length is not None and framing.length > BODY_CAP_BYTES:
            writer.write(_answer(Rule(status=413), method, keep=False))
            await writer.drain()
            return False
        rule = self._gate.choose(method, head.path)
        if rule is None:
            return await self._exchange(head, framing)
        if head.headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await pass_body(reader, Nowhere(), framing=framing, cap_bytes=BODY_CAP_BYTES)
        self._gate.traffic.answered += 1
        writer.write(_answer(rule, method, keep=head.keeps_open()))
        await writer.drain()
        return head.keeps_open()

    async def _exchange(self, head: Head, framing: Framing) -> bool:
        assert self._client is not None  # noqa: S101 - set before the first request is read
        reader, writer = self._client
        if self._target is None or self._target[0].at_eof():
            self._target = await asyncio.open_connection(
                LOOPBACK, self._gate.target_port, limit=HEAD_CAP_BYTES
            )
        target_reader, target_writer = self._target
        target_writer.write(head.raw)
        # Side by side: the target may answer before it has the whole body, with 413 for one.
        sending = asyncio.create_task(
            pass_body(reader, target_writer, framing=framing, cap_bytes=BODY_CAP_BYTES)
        )
        sending.add_done_callback(self._on_sent)
        try:
            answer, body = await self._answer_head(target_reader, writer, head.start[0])
            await pass_body(target_reader, writer, framing=body, cap_bytes=_NO_CAP_BYTES)
        except BaseException:
            sending.cancel()
            raise
        self._gate.traffic.passed[answer.status] += 1
        if not sending.done():
            sending.cancel()
            return False
        return head.keeps_open() and answer.keeps_open() and not body.until_close

    def _on_sent(self, sending: asyncio.Task[None]) -> None:
        # The target would wait for the rest of the body for ever.
        if not sending.cancelled() and sending.exception() is not None:
            self.reset()

    async def _answer_head(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str
    ) -> tuple[Head, Framing]:
        while True:
            answer = await read_head(reader)
            if answer is None:
                raise WireError("the target ended the connection instead of answering")
            writer.write(answer.raw)
            await writer.drain()
            if answer.status >= 200:
                return answer, framing_of_response(answer, method)

    async def _close(self) -> None:
        for side in (self._client, self._target):
            if side is not None:
                side[1].close()
                with contextlib.suppress(OSError):
                    await side[1].wait_closed()


def _answer(rule: Rule, method: str, *, keep: bool) -> bytes:
    body = json.dumps(answer_for(rule.status).body()).encode()
    try:
        phrase = HTTPStatus(rule.status).phrase
    except ValueError:
        phrase = ""
    lines = [
        f"HTTP/1.1 {rule.status} {phrase}",
        "X-elastic-product: Elasticsearch",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    if rule.retry_after_s is not None:
        lines.append(f"retry-after: {rule.retry_after_s}")
    if not keep:
        lines.append("connection: close")
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("latin-1") + (b"" if method == "HEAD" else body)
