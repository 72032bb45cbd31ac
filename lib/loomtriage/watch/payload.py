"""Payload: what does an Alertmanager webhook (version 4) say, read within bounds?

Whoever waits for alerts for months needs no data frames: this module knows nothing of the model.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from loomtriage.errors import UsageError

MAX_BYTES = 1024 * 1024
"""A group of 500 alerts with long labels is a third of this."""
MAX_ALERTS = 1000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_:]{0,79}")
_Text = dict[str, str]
_SINCE = datetime(2000, 1, 1, tzinfo=UTC)
"""No alert began earlier; the year 1 is how Alertmanager spells "not yet"."""


def _in_utc(value: datetime) -> datetime:
    """The instant in UTC; at the edges of the calendar an offset may lead beyond it."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies beyond the calendar") from None


def _plausible(value: datetime) -> datetime:
    if value < _SINCE:
        raise ValueError("no alert began so long ago")
    return value


_Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Alert(BaseModel):
    """One alert of a group; what is not named here is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: Literal["firing", "resolved"]
    labels: _Text = Field(default_factory=dict)
    startsAt: Annotated[_Instant, AfterValidator(_plausible)]  # noqa: N815  (spelled as Alertmanager spells it)
    endsAt: _Instant | None = None  # noqa: N815  (as above)
    fingerprint: str = Field(min_length=1, max_length=128)


class Delivery(BaseModel):
    """One webhook call."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal["4"]
    groupKey: str = Field(min_length=1, max_length=8192)  # noqa: N815  (as above)
    status: Literal["firing", "resolved"]
    truncatedAlerts: int = 0  # noqa: N815  (as above)
    alerts: tuple[Alert, ...] = Field(min_length=1, max_length=MAX_ALERTS)

    @property
    def identities(self) -> tuple[str, ...]:
        """Fingerprint and start of each alert, sorted: what makes a case the same case."""
        return tuple(sorted({f"{a.fingerprint}@{a.startsAt.isoformat()}" for a in self.alerts}))

    @property
    def starts_at(self) -> datetime:
        """When the first alert of the group that speaks here began (aware UTC)."""
        return min(a.startsAt for a in self.speaking)

    @property
    def ends_at(self) -> datetime | None:
        """When the last alert of a resolved group ended (aware UTC)."""
        ends = [a.endsAt for a in self.speaking if a.endsAt and a.endsAt >= _SINCE]
        return max(ends) if ends else None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the alerts, those that are names; each once."""
        found = (a.labels.get("alertname", "") for a in self.speaking)
        return tuple(sorted({name for name in found if _NAME.fullmatch(name)}))[:10]

    @property
    def speaking(self) -> tuple[Alert, ...]:
        """The alerts in the group's own status; all, when none is."""
        return tuple(a for a in self.alerts if a.status == self.status) or self.alerts


def read_delivery(content: bytes) -> Delivery:
    """The delivery in these bytes.

    Raises:
        UsageError: they are no webhook call of version 4, or more of one than is taken.
    """
    if len(content) > MAX_BYTES:
        raise UsageError(
            f"The alert payload has {len(content)} bytes.", hint=f"At most {MAX_BYTES} are read."
        )
    try:
        return Delivery.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        part = ".".join(str(p) for p in first["loc"])[:80] or "the document"
        raise UsageError(
            f"The alert payload is none: {part}: {first['msg'][:120]}.",
            hint="Post what Alertmanager's webhook_config sends (version 4).",
        ) from None
    except RecursionError:
        raise UsageError("The alert payload is nested too deep.", hint="Send a real one.") from None
