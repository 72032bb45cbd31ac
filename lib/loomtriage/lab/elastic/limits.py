"""Elastic limits: how much writing the stand-in takes, for good or until a lease ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_LEASE_S = 60.0


class Limits(BaseModel):
    """How much writing the stand-in takes; the body of `PUT /_lab/limits`.

    Attributes:
        workers: shard operations that run at the same time.
        queue: shard operations that may wait.
        service_s: seconds that each document takes.
        coordinating_bytes: request bytes that may be in flight together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(default=2, ge=1, le=64)
    queue: int = Field(default=10_000, ge=0, le=1_000_000)
    service_s: float = Field(default=0.0, ge=0.0, le=30.0, allow_inf_nan=False)
    coordinating_bytes: int = Field(default=51 * 1024 * 1024, ge=0)


class LeaseOrder(BaseModel):
    """Body of `PUT /_lab/limits/lease`: whose limits, for how long, and what differs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
    lease_s: float = Field(gt=0.0, le=MAX_LEASE_S, allow_inf_nan=False)
    limits: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Limits that hold for a time; `ends_at_s` is on the monotonic clock."""

    id: str
    limits: Limits
    ends_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsBook:
    """The limits that hold for good, and those that hold instead while a lease lasts.

    A pure value: the moment is an argument, a change returns a new book. A lease that nobody
    prolongs ends by itself, so that a drill which died leaves the server as it was.
    """

    base: Limits
    lease: Lease | None = None

    def held(self, now_s: float) -> Lease | None:
        """The lease that lasts now."""
        return self.lease if self.lease is not None and now_s < self.lease.ends_at_s else None

    def limits(self, now_s: float) -> Limits:
        """The limits that hold now."""
        held = self.held(now_s)
        return self.base if held is None else held.limits

    def lend(self, lease: Lease, now_s: float) -> LimitsBook:
        """With a lease, new or prolonged.

        Raises:
            ValueError: another one lasts.
        """
        held = self.held(now_s)
        if held is not None and held.id != lease.id:
            raise ValueError(f"the limits are leased under the id {held.id}")
        return replace(self, lease=lease)

    def end(self, lease_id: str) -> LimitsBook:
        """Without that lease, whether or not it was there."""
        if self.lease is None or self.lease.id != lease_id:
            return self
        return replace(self, lease=None)
