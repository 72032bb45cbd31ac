"""Proxy gate: what happens to each connection and request between the worker and its target."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import struct
from collections import Counter
from http import HTTPStatus
from typing import Protocol

from loomtriage.lab.elastic.errors import answer_for
from loomtriage.lab.proxy.fault_book import Fault, Kind, Rule
from loomtriage.lab.proxy.wire import (
    HEAD_CAP_BYTES,
    Framing,
    Head,
    Nowhere,
    Sink,
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


class Faults(Protocol):
    """What the gate asks about every request, and tells of what it did."""

    def choose(self, method: str, path: str) -> Fault | None:
        """The fault that acts on a request, None to pass it on."""
        ...

    def cut_success(self, fault_id: str) -> None:
        """An answer that told a success was dropped."""
        ...


class Traffic:
    """What went through the gate, counted independently of the worker."""

    def __init__(self) -> None:
        self.requests = 0
        self.answered = 0
        self.unanswered = 0
        self.passed: Counter[int] = Counter()


class Gate:
    """All open connections, and the way of a request through one of them."""

    def __init__(self, target_port: int, faults: Faults) -> None:
        self.traffic = Traffic()
        self.faults = faults
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
        self._last_status = 0

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
        fault = self._gate.faults.choose(method, head.path)
        rule = fault.rule if fault is not None else None
        if fault is None or rule is None:
            return await self._exchange(head, framing, to=writer)
        if fault.kind is Kind.ANSWER:
            return await self._answer_instead(head, framing, rule=rule)
        if fault.kind is Kind.DELAY:
            await asyncio.sleep(rule.delay_s)
            return await self._exchange(head, framing, to=writer)
        return await self._cut(head, framing, fault_id=fault.id)

    async def _answer_instead(self, head: Head, framing: Framing, *, rule: Rule) -> bool:
        assert self._client is not None  # noqa: S101 - set before the first request is read
        reader, writer = self._client
        if head.headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await pass_body(reader, Nowhere(), framing=framing, cap_bytes=BODY_CAP_BYTES)
        self._gate.traffic.answered += 1
        writer.write(_answer(rule, head.start[0], keep=head.keeps_open()))
        await writer.drain()
        return head.keeps_open()

    async def _cut(self, head: Head, framing: Framing, *, fault_id: str) -> bool:
        """Let the target do its work, and the client never learn of it."""
        await self._exchange(head, framing, to=Nowhere())
        if self._last_status < 300:
            self._gate.faults.cut_success(fault_id)
        raise WireError("a fault dropped the answer")

    async def _exchange(self, head: Head, framing: Framing, *, to: Sink) -> bool:
        assert self._client is not None  # noqa: S101 - set before the first request is read
        reader = self._client[0]
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
            answer, body = await self._answer_head(target_reader, to, head.start[0])
            await pass_body(target_reader, to, framing=body, cap_bytes=_NO_CAP_BYTES)
        except BaseException:
            sending.cancel()
            raise
        self._last_status = answer.status
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
        self, reader: asyncio.StreamReader, to: Sink, method: str
    ) -> tuple[Head, Framing]:
        while True:
            answer = await read_head(reader)
            if answer is None:
                raise WireError("the target ended the connection instead of answering")
            to.write(answer.raw)
            await to.drain()
            if answer.status >= 200:
                return answer, framing_of_response(answer, method)

    async def _close(self) -> None:
        for side in (self._client, self._target):
            if side is not None:
                side[1].close()
                with contextlib.suppress(OSError):
                    await side[1].wait_closed()


def _answer(rule: Rule, method: str, *, keep: bool) -> bytes:
    status = rule.status or HTTPStatus.SERVICE_UNAVAILABLE
    body = json.dumps(answer_for(status).body()).encode()
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = [
        f"HTTP/1.1 {status:d} {phrase}",
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
