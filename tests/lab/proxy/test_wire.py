"""Between faults the proxy is transparent: every byte passes, and nothing broken looks whole."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loomtriage.lab.proxy.gate import Gate
from loomtriage.lab.proxy.port import Port
from tests.lab.services import free_ports

GET = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"3;ext=1\r\nabc\r\n00a\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"


class Target:
    """A target that answers as soon as it has got what it expects."""

    def __init__(self, expect, answered, *, ends):
        self.got = bytearray()
        self._expect, self._answered, self._ends = expect, answered, ends

    async def serve(self, reader, writer):
        while len(self.got) < len(self._expect):
            piece = await reader.read(65536)
            if not piece:
                break
            self.got.extend(piece)
        await _send(writer, self._answered)
        if self._ends:
            writer.close()


class NoFault:
    """The book of a proxy that nobody ordered a fault from."""

    def choose(self, method, path):
        return None

    def cut_success(self, fault_id):
        raise AssertionError(fault_id)


async def _send(writer, pieces):
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)


async def _ask(listen, sent, *, ends):
    """What a client got, and whether the connection was reset at last."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listen)
    got, reset = bytearray(), False
    try:
        await _send(writer, sent)
        if ends:
            writer.write_eof()
        while piece := await asyncio.wait_for(reader.read(65536), 10):
            got.extend(piece)
    except ConnectionResetError:
        reset = True
    writer.close()
    return bytes(got), reset


def through(sent, answered, *, expect=None, dead=False, ends=True):
    """What client and target each got when the client sent and the target answered these pieces."""

    async def story():
        target = Target(b"".join(sent) if expect is None else expect, answered, ends=ends)
        server = await asyncio.start_server(target.serve, "127.0.0.1", 0)
        target_port = server.sockets[0].getsockname()[1]
        if dead:
            server.close()
            await server.wait_closed()
        gate = Gate(target_port, NoFault())
        (listen,) = free_ports(1)
        port = Port(listen, gate.welcome)
        got, reset = await _ask(listen, sent, ends=ends)
        port.close()
        gate.abort_all()
        server.close()
        await asyncio.sleep(0)
        return got, bytes(target.got), reset, gate.traffic

    return asyncio.run(story())


@pytest.mark.parametrize(
    "sent",
    [
        b"PUT /x HTTP/1.1\r\nHost: h\r\n" + CHUNKED + b"zz\r\n",
        b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n" + CHUNKED + CHUNKS,
        b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: +4\r\n\r\nbody",
        b"PUT /x HTTP/1.1\r\nHost : h\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf",
    ],
)
def test_a_malformed_request_is_reset(sent):
    """A request that cannot be framed, or stops half way, gets a reset instead of an answer."""
    got, _, reset, traffic = through([sent], [OK], expect=sent + b"more")
    assert (got, reset) == (b"", True)
    assert traffic.unanswered == 1
    assert not traffic.passed


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"5\r\nab",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"",
    ],
)
def test_a_broken_answer_never_looks_whole(answer):
    """When the target breaks off, the client sees a reset and never a complete response."""
    _, _, reset, traffic = through([GET], [answer])
    assert reset
    assert not traffic.passed


def test_a_dead_target_is_a_reset():
    """When nothing listens behind the proxy, the client gets a reset, not an invented answer."""
    got, _, reset, traffic = through([GET], [], dead=True)
    assert (got, reset, traffic.unanswered) == (b"", True, 1)


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (GET, OK),
        (GET, b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
        (GET, b"HTTP/1.1 200 OK\r\n" + CHUNKED + CHUNKS),
        (GET, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end" * 1000),
        (GET, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
        (b"PUT /x HTTP/1.1\r\nHost: h\r\n" + CHUNKED + CHUNKS, OK),
        (b"PUT /x HTTP/1.0\r\nContent-Length: 300000\r\n\r\n" + b"b" * 300_000, OK),
    ],
)
def test_every_byte_passes(request_bytes, answer):
    """Whatever framing a message has, both sides get exactly the bytes that the other sent."""
    got, got_by_target, reset, traffic = through([request_bytes], [answer])
    assert (got, got_by_target, reset) == (answer, request_bytes, False)
    assert traffic.passed.total() == 1


def test_interim_answers_pass():
    """A client that waits for 100 gets it through the proxy, and then the real answer."""
    head = b"PUT /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    got, _, _, traffic = through([head, b"body"], [interim, OK], expect=head)
    assert got == interim + OK
    assert traffic.passed == {200: 1}


def test_an_early_answer_passes_before_the_body_is_sent():
    """When the target answers without waiting for the body, the client hears it at once."""
    head = b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    got, _, _, traffic = through([head], [early], expect=head, ends=False)
    assert got == early
    assert traffic.passed == {413: 1}


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 120), max_size=6))
def test_where_the_bytes_are_cut_does_not_matter(cuts):
    """A message that arrives in any pieces passes as if it came at once."""
    request_bytes = b"PUT /x HTTP/1.1\r\nHost: h\r\n" + CHUNKED + CHUNKS
    answer = b"HTTP/1.1 200 OK\r\n" + CHUNKED + CHUNKS
    got, got_by_target, _, _ = through(_cut(request_bytes, cuts), _cut(answer, cuts))
    assert (got, got_by_target) == (answer, request_bytes)


def _cut(data, cuts):
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]
