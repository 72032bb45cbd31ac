"""Window: the half-open aware-UTC interval `[start, end)` that every question carries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from loomtriage.errors import UsageError

_SPAN = re.compile(r"^(\d{1,20})(s|m|h|d)$")
_LONGEST = timedelta(days=3650)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_instant(text: str, *, name: str = "time") -> datetime:
    """Read an ISO 8601 instant into aware UTC.

    Raises:
        UsageError: the text is no instant, or it carries no offset.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"{name} {text[:40]!r} is not an ISO 8601 time.",
            hint="Write it like 2026-02-14T14:21:30Z.",
        ) from None
    if moment.tzinfo is None:
        raise UsageError(
            f"{name} {text[:40]!r} has no time zone.",
            hint="Add Z for UTC, or an offset like +08:00.",
        )
    return moment.astimezone(UTC)


def parse_span(text: str, *, name: str = "duration") -> timedelta:
    """Read `90s`, `15m`, `2h` or `1d`.

    Raises:
        UsageError: anything else, zero, or more than ten years.
    """
    match = _SPAN.match(text.strip())
    if match is None:
        raise UsageError(
            f"{name} {text[:40]!r} is not a duration.", hint="Write it like 90s, 15m, 2h or 1d."
        )
    seconds = int(match[1]) * _SECONDS[match[2]]
    if not 0 < seconds <= _LONGEST.total_seconds():
        raise UsageError(
            f"{name} {text[:40]!r} is {'too long' if seconds else 'no time at all'}.",
            hint=f"Give one from 1s to {_LONGEST.days}d.",
        )
    return timedelta(seconds=seconds)


def iso(moment: datetime) -> str:
    """Write an instant as UTC with milliseconds and `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_ms(moment: datetime) -> int:
    """An instant as whole milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Half-open interval `[start, end)`, aware UTC.

    Raises:
        UsageError: a bound is naive, or the end does not come after the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment.tzinfo is None:
                raise UsageError(
                    f"{name} {moment.isoformat()} has no time zone.",
                    hint="Use aware datetimes in UTC.",
                )
        if self.end <= self.start:
            raise UsageError(
                f"The window ends ({iso(self.end)}) at or before its start ({iso(self.start)}).",
                hint="Give an end after the start.",
            )

    @classmethod
    def parse(cls, start: str, end: str) -> Window:
        """Read both bounds from ISO 8601 text."""
        return cls(parse_instant(start, name="start"), parse_instant(end, name="end"))

    @classmethod
    def last(cls, span: timedelta, *, now: datetime) -> Window:
        """The window of that length which ends now."""
        return cls(now - span, now)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.end - self.start).total_seconds()

    def before(self, span: timedelta | None = None) -> Window:
        """The baseline: the window that ends where this one starts, as long or of length `span`."""
        return Window(self.start - (span or (self.end - self.start)), self.start)

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def __str__(self) -> str:
        return f"{iso(self.start)} to {iso(self.end)} ({self.seconds:.0f} s)"

    def as_json(self) -> dict[str, str]:
        """Bounds as ISO text, the form that manifests and verdicts carry."""
        return {"start": iso(self.start), "end": iso(self.end)}
