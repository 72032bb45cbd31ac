"""The only HTTP of the program: wall-clock deadline, byte cap, one retry, errors mapped to words.

Redirects are not followed, proxies and netrc are not read, TLS is verified; whatever goes wrong
becomes a `missing` word of `Frame`, never an exception.
"""

from __future__ import annotations

import socket
import ssl
import threading
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx
import stamina

from loomtriage.errors import UsageError
from loomtriage.sources.deadline import Deadline, within
from loomtriage.sources.inflate import inflated
from loomtriage.sources.redact import safe
from loomtriage.sources.source import skew_note

MIB = 1024 * 1024
KEPT_OF_AN_ERROR_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one pull may cost.

    Attributes:
        deadline_s: wall clock over everything, connect to last byte and the retry included.
        max_bytes: of one body after decompression.
    """

    deadline_s: float = 5.0
    max_bytes: int = 32 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server said.

    Attributes:
        status: HTTP status, 0 when there was none.
        body: decompressed; of an error its first 4 kB; kept even when cut off.
        missing: empty for a whole 2xx answer, else one word of `Frame.missing`.
        hint: what happened and what to do, one or two sentences.
        caveats: stated limits.
    """

    status: int = 0
    body: bytes = b""
    missing: str = ""
    hint: str = ""
    caveats: tuple[str, ...] = ()


class _TryAgain(Exception):
    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.missing)
        self.reply = reply


class Http:
    """Asks one server.

    Args:
        base_url: `http://host:port[/prefix]`; userinfo in it is sent to this origin only.
        limits: deadline and byte cap.

    Raises:
        UsageError: the URL is none.
    """

    def __init__(self, base_url: str, *, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._base = base_url.rstrip("/")
        try:
            url = httpx.URL(self._base)
        except httpx.InvalidURL:
            url = httpx.URL("")
        if url.scheme not in ("http", "https") or not url.host:
            raise UsageError(
                f"{safe(base_url)!r} is no URL of a server.",
                hint="Write it like http://127.0.0.1:9090.",
            )
        self.shown = f"{url.scheme}://{url.host}" + (f":{url.port}" if url.port else "")
        self._tls = _trusted()

    def deadline(self) -> Deadline:
        """A fresh deadline for one pull of several requests."""
        return Deadline(self.limits.deadline_s)

    def get(
        self, path: str, params: Sequence[tuple[str, str]] = (), *, deadline: Deadline | None = None
    ) -> Reply:
        """GET a path below the base URL."""
        return self._bounded("GET", path, params=tuple(params), deadline=deadline)

    def post(
        self, path: str, form: Mapping[str, str], *, deadline: Deadline | None = None
    ) -> Reply:
        """POST a form to a path below the base URL."""
        return self._bounded("POST", path, params=tuple(form.items()), deadline=deadline)

    def _bounded(
        self,
        method: str,
        path: str,
        *,
        params: tuple[tuple[str, str], ...],
        deadline: Deadline | None,
    ) -> Reply:
        deadline = deadline or self.deadline()
        # A lone surrogate in a value cannot be sent.
        params = tuple((k, v.encode("utf-8", "replace").decode()) for k, v in params)
        call = _Call(
            self._base + path, method=method, params=params, limits=self.limits, tls=self._tls
        )
        try:
            reply = within(deadline, lambda: _retried(call, deadline), stop=call.cut)
        except TimeoutError:
            reply = Reply(missing="timeout")
        return replace(reply, hint=reply.hint or self._hint(reply))

    def _hint(self, reply: Reply) -> str:
        if not reply.missing:
            return ""
        where, limits = self.shown, self.limits
        said = safe(reply.body.decode("utf-8", "replace")) or "no text"
        hints = {
            "timeout": f"{where} did not answer in full within {limits.deadline_s:g} s. "
            "Check its load, or restart it.",
            "refused": f"Nothing answers at {where}. Start it, or correct the URL.",
            "auth": f"{where} wants credentials (HTTP {reply.status}). "
            "Give them in the URL's userinfo.",
            "truncated": f"The answer of {where} broke off after {len(reply.body)} bytes. "
            "Ask again.",
            "too_large": f"The answer of {where} is larger than {limits.max_bytes / MIB:g} MiB "
            "and was cut. Narrow window or scope.",
        }
        return hints.get(reply.missing, f"{where} answered HTTP {reply.status}: {said}.")


@cache
def _trusted() -> ssl.SSLContext:
    """The machine's certificates, read once: that takes longer than most requests."""
    return ssl.create_default_context()


def _retried(call: _Call, deadline: Deadline) -> Reply:
    """One more try for a refused connection or a 5xx, nothing else."""
    try:
        for attempt in stamina.retry_context(
            on=_TryAgain, attempts=2, wait_initial=0.1, wait_max=0.2, wait_jitter=0.1
        ):
            with attempt:
                return _firm(call.once(deadline))
    except _TryAgain as last:
        return last.reply
    raise AssertionError("stamina ends with a reply or an exception")


def _firm(reply: Reply) -> Reply:
    if reply.missing == "refused" or reply.status >= 500:
        raise _TryAgain(reply)
    return reply


class _Call:
    """One request; `cut` ends it from another thread by closing its sockets."""

    def __init__(
        self,
        url: str,
        *,
        method: str,
        params: tuple[tuple[str, str], ...],
        limits: Limits,
        tls: ssl.SSLContext,
    ) -> None:
        self._url, self._method, self._params = url, method, params
        self._limits, self._tls = limits, tls
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._is_cut = False

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            for connection in self._sockets:
                # `shutdown` wakes a reader that waits for the next dripping byte, `close` does not.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _watch(self, event: str, info: Mapping[str, Any]) -> None:
        if event not in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            return
        connection = info["return_value"].get_extra_info("socket")
        with self._lock:
            self._sockets.append(connection)
            if self._is_cut:
                connection.close()

    def once(self, deadline: Deadline) -> Reply:
        begun = Reply()
        try:
            with httpx.Client(
                trust_env=False, follow_redirects=False, verify=self._tls, headers=_HEADERS
            ) as client:
                request = self._request(client, deadline)
                response = client.send(request, stream=True)
                try:
                    begun = Reply(status=response.status_code, caveats=_skew(response.headers))
                    return self._read(response, begun)
                finally:
                    response.close()
        except httpx.TimeoutException:
            return replace(begun, missing="timeout")
        except (httpx.HTTPError, OSError) as error:
            return replace(begun, missing=_word(error, begun))

    def _request(self, client: httpx.Client, deadline: Deadline) -> httpx.Request:
        as_form = self._method == "POST"
        return client.build_request(
            self._method,
            self._url,
            params=None if as_form else self._params,
            data=dict(self._params) if as_form else None,
            # Idle timeouts end the thread that is left behind; the deadline does not rest on them.
            timeout=max(deadline.left_s, 0.01),
            extensions={"trace": self._watch},
        )

    def _read(self, response: httpx.Response, begun: Reply) -> Reply:
        word = _status_word(response.status_code)
        cap = self._limits.max_bytes if not word else KEPT_OF_AN_ERROR_BYTES
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "", "gzip", "deflate"):
            return replace(begun, missing="wrong_content")
        body = bytearray()
        try:
            for piece in inflated(response.iter_raw(), coding=coding, cap=cap + 1):
                body += piece
                if len(body) > cap:
                    del body[KEPT_OF_AN_ERROR_BYTES:]
                    return replace(begun, body=bytes(body), missing=word or "too_large")
        except (httpx.HTTPError, OSError, zlib.error) as error:
            broke = "timeout" if isinstance(error, httpx.TimeoutException) else "truncated"
            return replace(begun, body=bytes(body), missing=word or broke)
        return replace(begun, body=bytes(body), missing=word)


_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "loomtriage"}


def _status_word(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if status in (401, 403):
        return "auth"
    return "wrong_content" if status < 400 else f"http_{status}"


def _word(error: Exception, begun: Reply) -> str:
    if begun.status:
        return "truncated"
    if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error):
        return "wrong_content"
    return "refused"


def _skew(headers: httpx.Headers) -> tuple[str, ...]:
    try:
        told = parsedate_to_datetime(headers.get("date", "")).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return ()
    # The Date header counts whole seconds, so half a second is its own.
    ahead_s = (told - datetime.now(UTC)).total_seconds() + 0.5
    return skew_note("server", ahead_s)
