"""Proxy wire: where one HTTP/1.1 message ends, so that it can be passed on byte for byte."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

HEAD_CAP_BYTES = 64 * 1024
_PIECE_BYTES = 64 * 1024
_BODILESS = frozenset({204, 304})


class WireError(Exception):
    """The bytes are no HTTP/1.1 message that can be passed on."""


class Sink(Protocol):
    """Where a body goes."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...


class Nowhere:
    """A sink that drops a body, for a request that the proxy answers itself."""

    def write(self, data: bytes) -> None:
        """Drop it."""

    async def drain(self) -> None:
        """Nothing waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Start line and headers of one message.

    Attributes:
        raw: as received, with the empty line.
        start: the three parts of the start line.
        headers: by lower-case name; repeated ones joined by commas.
    """

    raw: bytes
    start: tuple[str, str, str]
    headers: dict[str, str]

    @property
    def path(self) -> str:
        """The path of a request without its query."""
        return self.start[1].partition("?")[0]

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.start[1])

    def keeps_open(self) -> bool:
        """Whether the sender leaves the connection open after this message."""
        version = self.start[2] if self.start[2].startswith("HTTP/") else self.start[0]
        words = self.headers.get("connection", "").lower()
        return "close" not in words and (version == "HTTP/1.1" or "keep-alive" in words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How a body ends: after a length, after the last chunk, or (neither) with the connection."""

    length: int | None = 0
    chunked: bool = False

    @property
    def until_close(self) -> bool:
        """Whether only the end of the connection ends the body."""
        return self.length is None and not self.chunked


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next head, None when the connection ends before one begins.

    Raises:
        WireError: it is too long, cut off or malformed.
    """
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise WireError("the connection ended inside a head") from error
    except asyncio.LimitOverrunError as error:
        raise WireError(f"a head is longer than {HEAD_CAP_BYTES} bytes") from error
    first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
    start = first.split(" ", 2)
    if len(start) == 2:  # a response may leave out its phrase, with or without the space
        start.append("")
    if len(start) != 3 or not (start[0].startswith("HTTP/1.") or start[2].startswith("HTTP/1.")):
        raise WireError("the start line is not HTTP/1.x")
    if start[0].startswith("HTTP/1.") and not (len(start[1]) == 3 and start[1].isdecimal()):
        raise WireError("a response has no status")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise WireError("a header line is malformed")
        known = headers.get(name.lower())
        headers[name.lower()] = value.strip() if known is None else f"{known}, {value.strip()}"
    return Head(raw=raw, start=(start[0], start[1], start[2]), headers=headers)


def framing_of_request(head: Head) -> Framing:
    """How the body of a request ends.

    Raises:
        WireError: length and transfer encoding contradict each other or make no sense.
    """
    return _framing(head, Framing(length=0))


def framing_of_response(head: Head, method: str) -> Framing:
    """How the body of a response to this method ends.

    Raises:
        WireError: length and transfer encoding contradict each other or make no sense.
    """
    if method == "HEAD" or head.status in _BODILESS or head.status < 200:
        return Framing(length=0)
    return _framing(head, Framing(length=None))


def _framing(head: Head, default: Framing) -> Framing:
    encoding = head.headers.get("transfer-encoding")
    length = head.headers.get("content-length")
    if encoding is not None:
        if length is not None or encoding.lower() != "chunked":
            raise WireError("a transfer encoding other than plain chunked")
        return Framing(length=None, chunked=True)
    if length is None:
        return default
    if not (length.isascii() and length.isdecimal()):
        raise WireError("a content length that is no number")
    return Framing(length=int(length))


async def pass_body(
    reader: asyncio.StreamReader, sink: Sink, *, framing: Framing, cap_bytes: int
) -> None:
    """Pass one body on as it arrives.

    Raises:
        WireError: it is cut off, malformed or larger than the cap.
    """
    if framing.chunked:
        await _pass_chunks(reader, sink, cap_bytes)
    elif framing.length is not None:
        if framing.length > cap_bytes:
            raise WireError(f"a body is larger than {cap_bytes} bytes")
        await _pass_exactly(reader, sink, framing.length)
    else:
        while piece := await reader.read(_PIECE_BYTES):
            sink.write(piece)
            await sink.drain()


async def _pass_exactly(reader: asyncio.StreamReader, sink: Sink, count: int) -> None:
    left = count
    while left:
        piece = await reader.read(min(left, _PIECE_BYTES))
        if not piece:
            raise WireError("the connection ended inside a body")
        left -= len(piece)
        sink.write(piece)
        await sink.drain()


async def _pass_chunks(reader: asyncio.StreamReader, sink: Sink, cap_bytes: int) -> None:
    passed_bytes = 0
    while True:
        line = await _line(reader)
        text = line.partition(b";")[0].strip()
        try:
            size = int(text, 16)
        except ValueError as error:
            raise WireError("a chunk has no size") from error
        passed_bytes += size
        if size < 0 or passed_bytes > cap_bytes:
            raise WireError(f"a body is larger than {cap_bytes} bytes")
        sink.write(line)
        if size == 0:
            break
        await _pass_exactly(reader, sink, size + 2)
    while True:  # trailers up to the empty line
        line = await _line(reader)
        sink.write(line)
        await sink.drain()
        if line == b"\r\n":
            return


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise WireError("a chunk is cut off") from error
