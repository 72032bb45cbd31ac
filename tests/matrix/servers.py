"""Servers in every condition: what a loopback server says for a source, healthy or damaged."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from loomtriage.model import Kind
from loomtriage.sources import Prometheus, Source, Tape, Traces
from loomtriage.sources.http import Limits
from tests.matrix import healthy
from tests.matrix.healthy import DAY_S, LIMIT, answer, matrix
from tests.sources.wire import Answer, Wire, drips, floods, hangs, says, sends

SOON = Limits(deadline_s=0.5, max_bytes=400_000)  # where nothing comes, however long one waits
BUDGET = Limits(deadline_s=20, max_bytes=400_000)
BOMB = gzip.compress(b" " * 8_000_000)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
WRONG = b'{"hits": {"total": 1}}'
PAGE = b"<html><title>Log in</title><form></form></html>"
SORRY = b'{"message": "try later"}'
UNKNOWN = says(b"404 page not found", status="404 Not Found", media="text/plain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One source that is asked over HTTP.

    Attributes:
        kind: what its frames hold.
        path: text of the requests that the damage is about; the rest is answered well.
        good, bodies: the healthy answer, and those of the conditions that are about content.
        answers: whole answers of variants that no body alone makes.
        traces: whether it is a trace server.
    """

    kind: Kind
    path: bytes
    good: bytes
    bodies: Mapping[str, bytes]
    answers: Mapping[str, Answer]
    traces: bool = False

    def answer(self, variant: str) -> Answer:
        """What the server says to every request."""
        bad = {**_damages(self.good), **self.answers}.get(variant)
        bad = bad or says(self.bodies.get(variant, self.good))
        rest = _older_only if self.traces else _well

        def both(connection, request):
            (bad if self.path in request else rest)(connection, request)

        return both

    @contextmanager
    def standing(self, variant: str, tape: Tape, limits: Limits | None = None) -> Iterator[Source]:
        """The source, asked while its server stands in that condition."""
        kind: Callable[..., Source] = Traces if self.traces else Prometheus
        limits = limits or (SOON if variant.startswith(("hangs", "drips")) else BUDGET)
        with Wire(self.answer(variant)) as wire:
            url = wire.url
            if variant != "closed_port":
                yield kind("" if variant == "absent" else url, tape=tape, limits=limits)
        if variant == "closed_port":
            yield kind(url, tape=tape, limits=limits)


def _damages(good: bytes) -> dict[str, Answer]:
    """The damages that need no knowledge of the content."""
    chunk = b"%x\r\n%b" % (len(good), good[: len(good) // 2])
    status = {
        "500": "500 Oops",
        "503": "503 Busy",
        "429": "429 Slow Down",
        "401": "401 No",
        "302": "302 Found",
    }
    return {
        "hangs": hangs,
        "drips_head": drips(b"HTTP/1.1 200 OK\r\n", b"X-Slow: 1\r\n" * 99),
        "drips_body": drips(HEAD + b"\r\n", b" " * 999),
        **{
            name: says(SORRY, status=line, more="Retry-After: 1\r\nLocation: /login\r\n")
            for name, line in status.items()
        },
        "short_length": sends(HEAD + b"Content-Length: %d\r\n\r\n" % len(good) + good[:-9]),
        "cut_chunk": sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk),
        "no_length": sends(HEAD + b"\r\n" + good[:-9]),
        "login_page": says(PAGE, media="text/html"),
        "other_service": says(WRONG),
        "utf16": says(good.decode().encode("utf-16")),
        "ahead_5min": _dated(good, minutes=5),
        "behind_8h": _dated(good, minutes=-480),
        "ahead_1d": _dated(good, minutes=1440),
        "bomb": says(BOMB, more="Content-Encoding: gzip\r\n"),
        "endless": floods(HEAD + b"\r\n", b" " * 65536),
    }


def _dated(good: bytes, *, minutes: int) -> Answer:
    """A server whose clock is wrong, as of the moment it is asked."""

    def told(connection, request):
        date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
        says(good, more=f"Date: {date}\r\n")(connection, request)

    return told


def _well(connection, request) -> None:
    """A healthy metrics server."""
    body = matrix(*healthy.counters())
    if b"/api/v1/targets" in request:
        body = answer({"activeTargets": healthy.targets()})
    elif b"query_exemplars" in request:
        body = answer(healthy.exemplars())
    elif b"ALERTS" in request:
        body = matrix(*healthy.alerts())
    says(body)(connection, request)


def _older_only(connection, request) -> None:
    """A trace server that does not know the newer paths."""
    (says(healthy.older()) if b"/api/traces" in request else UNKNOWN)(connection, request)


def _no_raw(bad: Answer) -> Answer:
    """A server that refuses range selectors and answers range queries."""
    no = says(json.dumps({"status": "error", "error": "no"}).encode(), status="422 No")
    return lambda c, r: (bad if b"query_range" in r else no)(c, r)


def _samples() -> dict[str, bytes]:
    good = healthy.counters()
    twice = healthy.counters(job="wordloom-zz")
    return {
        "old": matrix(*healthy.counters(seconds=40)),
        "nothing": matrix(),
        "warned": matrix(*good, warnings=["one store is down"]),
        "not_whole": matrix(*good, isPartial=True),
        "two_jobs": matrix(*good, *twice),
        "two_envs": matrix(*good, *healthy.counters(env="dev")),
        "shuffled": matrix(*(one | {"values": one["values"][::-1]} for one in reversed(good))),
    }


def _of(make: Callable[..., list], shape: Callable[..., bytes]) -> dict[str, bytes]:
    """The content conditions of a view: what `make` gives, in the shape of its answer."""
    return {
        "old": shape(make(since=-DAY_S)),
        "nothing": shape([]),
        "warned": shape(make(), warnings=["one store is down"]),
        "repeated": shape(make() * 2),
        "shuffled": shape(make()[::-1]),
    }


def _listed(found: list, **more: object) -> bytes:
    return matrix(*found, **more)


def _active(found: list, **more: object) -> bytes:
    return answer({"activeTargets": found}, **more)


_TWICE = json.loads(healthy.newer())["result"]["resourceSpans"]
_NEWER = {
    "old": healthy.newer(since=-DAY_S),
    "nothing": b'{"result": {"resourceSpans": []}}',
    "bad_span": healthy.newer(extra=({"name": "x"},)),
    "at_limit": healthy.newer(traces=LIMIT),
    "repeated": json.dumps({"result": {"resourceSpans": _TWICE * 2}}).encode(),
    "shuffled": healthy.shuffled_newer(),
}
_OLDER = {
    "old": healthy.older(since=-DAY_S),
    "nothing": b'{"data": [], "total": 0}',
    "bad_span": healthy.older().replace(b'"duration": 250000', b'"duration": "x"', 1),
    "repeated": healthy.older(repeat=2),
    "shuffled": healthy.older(backwards=True),
}
_NONE_NEWER = says(b'{"error": {"httpCode": 404, "message": "No traces"}}', status="404 No")
_NONE_OLDER = says(b'{"data": null, "errors": [{"code": 404}]}', status="404 No")

SERVERS: Mapping[str, Server] = {
    "P1": Server(
        kind=Kind.METRICS,
        path=b"/api/v1/query",
        good=matrix(*healthy.counters()),
        bodies=_samples(),
        answers={},
    ),
    "P2": Server(
        kind=Kind.METRICS,
        path=b"/api/v1/query",
        good=matrix(*healthy.counters()),
        bodies=_samples(),
        answers={
            name: _no_raw(one)
            for name, one in {
                **_damages(matrix(*healthy.counters())),
                **{name: says(body) for name, body in _samples().items()},
                "good": says(matrix(*healthy.counters())),
            }.items()
        },
    ),
    "P3a": Server(
        kind=Kind.ALERTS,
        path=b"ALERTS",
        good=matrix(*healthy.alerts()),
        bodies=_of(healthy.alerts, _listed),
        answers={},
    ),
    "P3t": Server(
        kind=Kind.TARGETS,
        path=b"/api/v1/targets",
        good=_active(healthy.targets()),
        bodies=_of(healthy.targets, _active),
        answers={},
    ),
    "P3e": Server(
        kind=Kind.EXEMPLARS,
        path=b"query_exemplars",
        good=answer(healthy.exemplars()),
        bodies=_of(healthy.exemplars, answer),
        answers={},
    ),
    "J1": Server(
        kind=Kind.SPANS,
        path=b"/api/",
        good=healthy.newer(),
        bodies=_NEWER,
        answers={"none_404": _NONE_NEWER},
        traces=True,
    ),
    "J2": Server(
        kind=Kind.SPANS,
        path=b"/api/traces",
        good=healthy.older(),
        bodies=_OLDER,
        answers={"none_404": _NONE_OLDER},
        traces=True,
    ),
}
