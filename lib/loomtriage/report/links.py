"""Which addresses may become links? Only http(s) on loopback or on a source of this very run."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Strict on purpose: browsers read backslashes, spaces and user names in an address differently
# than urlsplit does, and a link must lead where its shown host says.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[::1\]|[A-Za-z0-9.-]{1,253})(?::(?P<port>\d{1,5}))?"
    r"(?P<rest>[/?#][A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%{}|]*)?"
)
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|\[::1\]", re.IGNORECASE)
_PORTS = {"http": "80", "https": "443"}
MAX_LENGTH = 4000


def origin(url: str) -> str:
    """Scheme, host and port of an address; empty when it is not one that we would link."""
    match = _URL.fullmatch(url) if len(url) <= MAX_LENGTH else None
    if match is None:
        return ""
    scheme = match["scheme"]
    return f"{scheme}://{match['host'].lower()}:{match['port'] or _PORTS[scheme]}"


def host(url: str) -> str:
    """Host and port as written, the text of a link."""
    match = _URL.fullmatch(url)
    if match is None:
        return ""
    return match["host"] + (f":{match['port']}" if match["port"] else "")


def allowed(url: str, origins: Iterable[str]) -> bool:
    """Whether this address may become a link.

    Args:
        url: the address.
        origins: what `origin` says of the configured sources.
    """
    match = _URL.fullmatch(url) if len(url) <= MAX_LENGTH else None
    if match is None:
        return False
    return _LOOPBACK.fullmatch(match["host"]) is not None or origin(url) in frozenset(origins)
