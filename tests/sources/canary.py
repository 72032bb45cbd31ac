"""A secret in thirteen encodings and twelve places, and a searcher of its own for it."""

from __future__ import annotations

import base64
import binascii
import html
import json
import quopri
import re
import zlib
from collections.abc import Callable
from urllib.parse import quote, unquote_to_bytes

CANARY = "Kanarien-Vogel/7+9@Käfig"


def _json_u(text: str) -> str:
    return "".join(f"\\u{ord(letter):04x}" for letter in text)


ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "plain": lambda s: s.encode(),
    "percent": lambda s: quote(s, safe="").encode(),
    "percent, letters too": lambda s: "".join(f"%{b:02X}" for b in s.encode()).encode(),
    "percent twice": lambda s: quote(quote(s, safe=""), safe="").encode(),
    "base64": lambda s: base64.b64encode(s.encode()),
    "base64 inside": lambda s: base64.b64encode(f"user:{s}@host".encode()),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(f"u:{s}".encode()),
    "hex": lambda s: s.encode().hex().encode(),
    "HEX": lambda s: s.encode().hex().upper().encode(),
    "json": lambda s: _json_u(s).encode(),
    "html": lambda s: "".join(f"&#{ord(letter)};" for letter in s).encode(),
    "utf-16": lambda s: s.encode("utf-16-le"),
    "utf-16 be": lambda s: s.encode("utf-16-be"),
}

PLACES: dict[str, bytes] = {
    "metric label": b'{"status":"success","data":{"result":[{"metric":{"reason":"%s"}}]}}',
    "metric help": b"# HELP outbox_failed_total %s\n",
    "API warning": b'{"status":"success","warnings":["%s"],"data":{"result":[]}}',
    "error body": b"<html><body>no access for %s</body></html>",
    "span attribute": b'{"attributes":[{"key":"db.statement","value":{"stringValue":"%s"}}]}',
    "span message": b'{"status":{"code":2,"message":"%s"}}',
    "log field": b'{"ts":"2026-01-01T00:00:00+00:00","level":"INFO","dsn":"%s"}\n',
    "log text": b"[OK] Database: %s\n",
    "traceback": b'{"exc_info":"Traceback\\n  File \\"x.py\\"\\nValueError: %s"}\n',
    "row error": b'[{"id":"1","error":"mapping: %s"}]',
    "replay note": b'[{"id":"1","last_replayed_reason":"%s"}]',
    "exemplar": b'{"data":[{"exemplars":[{"labels":{"trace_id":"%s"}}]}]}',
}


def holds(content: bytes, secret: str = CANARY) -> bool:
    """Whether the secret can be read out of the bytes, by decoding them in every way."""
    return any(secret.encode() in text for text in _readings(content, depth=2))


def _readings(content: bytes, *, depth: int):
    yield content
    for start in (0, 1):
        for codec in ("utf-16-le", "utf-16-be"):
            yield content[start:].decode(codec, errors="ignore").encode(errors="ignore")
    yield html.unescape(content.decode(errors="ignore")).encode()
    yield unquote_to_bytes(content)
    yield unquote_to_bytes(unquote_to_bytes(content))
    yield quopri.decodestring(content)
    text = content.decode(errors="ignore")
    yield re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), text).encode(errors="ignore")
    for run in re.findall(rb"[0-9a-fA-F]{16,}", content):
        yield bytes.fromhex(run[: len(run) // 2 * 2].decode())
    for run in re.findall(rb"[A-Za-z0-9+/_-]{16,}", content):
        plain = run.translate(bytes.maketrans(b"-_", b"+/"))
        for skipped in range(4):
            piece = plain[skipped:]
            try:
                yield base64.b64decode(piece + b"=" * (-len(piece) % 4))
            except binascii.Error:
                continue
    if depth:
        for place in (m.start() for m in re.finditer(b"\x1f\x8b", content)):
            try:
                yield from _readings(_unpacked(content[place:]), depth=depth - 1)
            except (OSError, EOFError):
                continue


def _unpacked(content: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(content)
    except zlib.error as error:
        raise OSError(str(error)) from error


def is_json(content: bytes) -> bool:
    """Whether the bytes are one JSON document."""
    try:
        json.loads(content)
    except ValueError:
        return False
    return True
