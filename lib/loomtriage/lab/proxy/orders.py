"""Proxy orders: which faults may be ordered, and what an order must say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loomtriage.lab.proxy.fault_book import MAX_LEASE_S, WRITES, Fault, Kind, Moment, Rule

MAX_DELAY_S = 30.0

LeaseSeconds = Annotated[float, Field(gt=0, le=MAX_LEASE_S, allow_inf_nan=False)]
DelaySeconds = Annotated[float, Field(gt=0, le=MAX_DELAY_S, allow_inf_nan=False)]

_ANSWERED = frozenset({"status", "retry_after_s"})
_DELAYED = frozenset({"delay_s"})
_CHOSEN = frozenset({"every", "ratio", "seed", "methods", "path"})
_TAKES = {
    Kind.REFUSE: frozenset[str](),
    Kind.ANSWER: _ANSWERED | _CHOSEN,
    Kind.CUT: _CHOSEN,
    Kind.DELAY: _DELAYED | _CHOSEN,
}


class LeaseOrder(BaseModel):
    """Body of `PUT /faults/{id}/lease`."""

    model_config = ConfigDict(extra="forbid")

    lease_s: LeaseSeconds


class FaultOrder(LeaseOrder):
    """Body of `POST /faults`; which of the last fields it may hold depends on the kind."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
    kind: Kind
    target: Annotated[str, Field(max_length=40)] = "elastic"
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    retry_after_s: Annotated[int, Field(ge=0, le=3600)] | None = None
    delay_s: DelaySeconds | None = None
    every: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    ratio: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    seed: int = 0
    methods: tuple[Literal["GET", "HEAD", "PUT", "POST", "DELETE"], ...] | None = None
    path: Annotated[str, Field(max_length=500)] = "*"

    @model_validator(mode="after")
    def _fits_kind(self) -> FaultOrder:
        extra = self.model_fields_set - {"id", "kind", "target", "lease_s"} - _TAKES[self.kind]
        if extra:
            raise ValueError(f"{self.kind} takes no {', '.join(sorted(extra))}")
        if self.kind is Kind.ANSWER and self.status is None:
            raise ValueError("answer needs a status")
        if self.kind is Kind.ANSWER and self.target != "elastic":
            raise ValueError("only elastic is answered for: its errors are known")
        if self.kind is Kind.DELAY and self.delay_s is None:
            raise ValueError("delay needs delay_s")
        if self.ratio is not None and "every" in self.model_fields_set:
            raise ValueError("give every or ratio, not both")
        return self

    def fault(self, now: Moment) -> Fault:
        """The fault that is ordered."""
        return Fault(
            id=self.id,
            kind=self.kind,
            rule=self._rule(),
            expires_at_s=now.clock_s + self.lease_s,
            since=now.utc,
        )

    def _rule(self) -> Rule | None:
        if self.kind is Kind.REFUSE:
            return None
        return Rule(
            status=self.status,
            delay_s=self.delay_s or 0.0,
            every=self.every,
            ratio=self.ratio,
            seed=self.seed,
            retry_after_s=self.retry_after_s,
            methods=WRITES if self.methods is None else self.methods,
            path=self.path,
        )
