"""OTLP times: instants and durations as the Jaeger query API writes them, in nanoseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})"
)
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def read_instant_ns(text: str) -> int:
    """Unix nanoseconds of an RFC 3339 instant.

    Raises:
        ValueError: it is none, or has no time zone.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f'cannot parse "{text}" as RFC 3339 time')
    whole = datetime.fromisoformat(f"{found[1].upper()}{found[3].upper().replace('Z', '+00:00')}")
    seconds = (whole - _EPOCH) // timedelta(seconds=1)
    return seconds * 1_000_000_000 + int((found[2] or "0").ljust(9, "0"))


def read_duration_ns(text: str) -> int:
    """Nanoseconds of a Go duration such as `1.5s` or `1h30m`.

    Raises:
        ValueError: it is none.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'invalid duration "{text}"')
    return round(sum(float(number) * _UNIT_NS[unit] for number, unit in parts))
