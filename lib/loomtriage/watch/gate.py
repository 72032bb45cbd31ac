"""Gate: who may hand in an alert, and how much of one is read before that is known?"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import ClientDisconnect, Request

from loomtriage.errors import UsageError
from loomtriage.watch.payload import MAX_BYTES

TOKEN_ENV = "LOOMTRIAGE_WATCH_TOKEN"  # noqa: S105  (the name of a variable, not a secret)
SIGNATURE_HEADER = "x-loomtriage-signature"
MIN_TOKEN = 16
SIGNED_FOR_S = 300
BODY_S = 10.0
_SIGNATURE = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class TurnedAway(Exception):
    """A request that is not taken: HTTP status and one sentence.

    401, 403, 405, 413 and 415 are final for Alertmanager; it tries again after 408 and 503 only
    when its own rules say so.
    """

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status, self.says = status, says


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The rules of entry.

    Attributes:
        token: the shared secret; never shown.
        hosts: names that a Host header may carry, without port.
    """

    token: str = field(repr=False)
    hosts: tuple[str, ...] = LOOPBACK

    async def admit(self, request: Request) -> bytes:
        """The body of a request that may come in.

        What headers can tell is decided before a byte of the body is read.

        Raises:
            TurnedAway: it may not.
        """
        self._check_origin(request)
        signature = request.headers.get(SIGNATURE_HEADER, "")
        if not signature and not self._bears_token(request.headers.get("authorization", "")):
            raise TurnedAway(401, "A bearer token or a signature is needed, and it must be right.")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise TurnedAway(415, "Only application/json is read.")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > MAX_BYTES:
            raise TurnedAway(413, f"At most {MAX_BYTES} bytes are read.")
        body = await _body(request)
        if signature and not self._signed(signature, body):
            raise TurnedAway(401, "The signature is wrong or too old.")
        return body

    def _check_origin(self, request: Request) -> None:
        host = request.headers.get("host", "").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in self.hosts:
            raise TurnedAway(403, "The Host header names somebody else.")
        browser = "origin" in request.headers or "Mozilla/" in request.headers.get("user-agent", "")
        if browser:
            raise TurnedAway(403, "Web pages may not hand in alerts.")

    def _bears_token(self, header: str) -> bool:
        scheme, _, given = header.partition(" ")
        return scheme.lower() == "bearer" and _same(given.strip(), self.token)

    def _signed(self, signature: str, body: bytes) -> bool:
        match = _SIGNATURE.fullmatch(signature)
        if match is None or abs(time.time() - int(match[1])) > SIGNED_FOR_S:
            return False
        signed = match[1].encode() + b"." + body
        wanted = hmac.new(self.token.encode(), signed, hashlib.sha256).hexdigest()
        return _same(match[2], wanted)


def read_token(file: str) -> str:
    """The secret from a file, or from the environment when no file is named.

    Raises:
        UsageError: there is none, it is too short, or everybody may read the file.
    """
    if not file:
        token = os.environ.get(TOKEN_ENV, "").strip()
        if not token:
            raise UsageError(
                "There is no token that Alertmanager must show.",
                hint=f"Give a file with --token-file, or set {TOKEN_ENV}.",
            )
        return _long_enough(token)
    path = Path(file).expanduser()
    try:
        # A group may read it: Alertmanager often runs as another user.
        if path.stat().st_mode & 0o027:
            raise UsageError(
                f"Everybody may read {path}, or a group may write it.",
                hint="Close the token file: chmod 600, or 640 for Alertmanager's group.",
            )
        return _long_enough(path.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        raise UsageError(
            f"The token file {path} cannot be read.", hint="Give a readable text file."
        ) from None


def _long_enough(token: str) -> str:
    if len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable():
        raise UsageError(
            "The token is no secret.",
            hint=f"Use at least {MIN_TOKEN} letters: openssl rand -hex 32",
        )
    return token


async def _body(request: Request) -> bytes:
    """The body, counted and timed while it comes in, whatever its headers promised."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                parts.append(part)
                size += len(part)
                if size > MAX_BYTES:
                    raise TurnedAway(413, f"At most {MAX_BYTES} bytes are read.")
    except TimeoutError:
        raise TurnedAway(408, f"The body did not come within {BODY_S:.0f} s.") from None
    except ClientDisconnect:
        raise TurnedAway(400, "The body ended early.") from None
    return b"".join(parts)


def _same(given: str, wanted: str) -> bool:
    """Compare in constant time, also over the length."""
    first, second = (hashlib.sha256(text.encode()).digest() for text in (given, wanted))
    return hmac.compare_digest(first, second)
