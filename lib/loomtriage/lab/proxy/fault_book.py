"""Fault book: which faults the proxy holds, until when, and what each of them has done.

A pure value: every change takes the moment as an argument and returns a new book. Deleting is
idempotent and safe for a fault that was never applied; a lease that is not renewed ends by itself.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

MAX_LEASE_S = 60.0
KEEP_HEALED_S = 900.0
WRITES = ("PUT", "POST", "DELETE")


class Kind(StrEnum):
    """What a fault does to the connections or requests of the target."""

    REFUSE = "refuse"
    ANSWER = "answer"
    CUT = "cut"
    DELAY = "delay"


class FaultState(StrEnum):
    """Where in its life a fault is."""

    ACTIVE = "active"
    EXPIRED = "expired"
    DELETED = "deleted"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Now, twice: seconds of a clock that nobody can set (for leases), and UTC (for people)."""

    clock_s: float
    utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which requests a fault acts on, and how.

    Attributes:
        status: of ANSWER: HTTP status of the answer, else None.
        delay_s: of DELAY: how long a request waits before it is passed on, else 0.
        every: acts on each n-th matching request; 1 acts on all.
        ratio: share of matching requests to act on instead of `every`; None for none.
        seed: makes the choice of `ratio` repeatable.
        retry_after_s: value of the header Retry-After, None for no header.
        methods: HTTP methods that match, empty for all.
        path: shell pattern that the path without its query must match.
    """

    status: int | None = None
    delay_s: float = 0.0
    every: int = 1
    ratio: float | None = None
    seed: int = 0
    retry_after_s: int | None = None
    methods: tuple[str, ...] = WRITES
    path: str = "*"

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is one that this rule counts."""
        return (not self.methods or method in self.methods) and fnmatchcase(path, self.path)

    def acts_on(self, nth: int) -> bool:
        """Whether the n-th matching request, counted from 1, is acted on."""
        if self.ratio is None:
            return nth % self.every == 0
        # Drawn afresh for each request, so that the choice depends on nothing but seed and n.
        return random.Random(f"{self.seed}:{nth}").random() < self.ratio  # noqa: S311 - a drill


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault.

    Attributes:
        id: name that its owner gave it.
        kind: what it does.
        rule: of every kind but REFUSE.
        expires_at_s: on the lease clock.
        since: when it was applied.
        seen: requests that matched the rule.
        hit: requests that it answered, delayed, or whose answer it dropped.
        cut_after_success: of CUT: dropped answers that told a success.
        aborted: connections that it reset.
        probes_refused: connects of the proxy itself that the closed port refused.
    """

    id: str
    kind: Kind
    rule: Rule | None = None
    expires_at_s: float
    since: datetime
    seen: int = 0
    hit: int = 0
    cut_after_success: int = 0
    aborted: int = 0
    probes_refused: int = 0

    @property
    def acted(self) -> int:
        """How often the fault did something: the witness that it was there."""
        return self.hit + self.aborted + self.probes_refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Healed:
    """A fault whose lease ended without renewal, kept so that its owner learns of it."""

    fault: Fault
    at: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultBook:
    """All faults by id: those that act, and those that healed by themselves of late."""

    active: Mapping[str, Fault] = field(default_factory=dict)
    healed: Mapping[str, Healed] = field(default_factory=dict)

    def state_of(self, fault_id: str) -> FaultState:
        """Where in its life a fault is."""
        if fault_id in self.active:
            return FaultState.ACTIVE
        return FaultState.EXPIRED if fault_id in self.healed else FaultState.ABSENT

    def refusing(self) -> bool:
        """Whether some fault wants the port closed."""
        return any(fault.kind is Kind.REFUSE for fault in self.active.values())

    def apply(self, fault: Fault, now: Moment) -> FaultBook:
        """With this fault; the same fault again only renews its lease.

        Raises:
            ValueError: another fault has the same id.
        """
        book = self.sweep(now)
        known = book.active.get(fault.id)
        if known is not None and (known.kind, known.rule) != (fault.kind, fault.rule):
            raise ValueError(f"another fault is active under the id {fault.id}")
        kept = fault if known is None else replace(known, expires_at_s=fault.expires_at_s)
        healed = {key: value for key, value in book.healed.items() if key != fault.id}
        return FaultBook(active={**book.active, fault.id: kept}, healed=healed)

    def renew(self, fault_id: str, lease_s: float, *, now: Moment) -> FaultBook:
        """With a new lease for a fault that still acts; an ended one stays ended."""
        book = self.sweep(now)
        known = book.active.get(fault_id)
        if known is None:
            return book
        renewed = replace(known, expires_at_s=now.clock_s + lease_s)
        return replace(book, active={**book.active, fault_id: renewed})

    def delete(self, fault_id: str, now: Moment) -> FaultBook:
        """Without a fault, whether or not it was there."""
        book = self.sweep(now)
        return replace(
            book, active={key: value for key, value in book.active.items() if key != fault_id}
        )

    def sweep(self, now: Moment) -> FaultBook:
        """With every ended lease healed, and what healed long ago forgotten."""
        ended = {key: f for key, f in self.active.items() if f.expires_at_s <= now.clock_s}
        stale = {
            key for key, h in self.healed.items() if h.at.clock_s + KEEP_HEALED_S <= now.clock_s
        }
        if not ended and not stale:
            return self
        kept = {key: value for key, value in self.healed.items() if key not in stale}
        return FaultBook(
            active={key: value for key, value in self.active.items() if key not in ended},
            healed={**kept, **{key: Healed(fault=f, at=now) for key, f in ended.items()}},
        )

    def meet(self, method: str, path: str, *, now: Moment) -> tuple[FaultBook, Fault | None]:
        """With one more request counted, and the fault that acts on it, if any does."""
        book = self.sweep(now)
        for fault in book.active.values():
            rule = fault.rule
            if rule is None or not rule.matches(method, path):
                continue
            nth = fault.seen + 1
            acts = rule.acts_on(nth)
            met = replace(fault, seen=nth, hit=fault.hit + int(acts))
            book = _with(book, met)
            if acts:
                return book, met
        return book, None

    def cut_success(self, fault_id: str) -> FaultBook:
        """With one more dropped answer that told a success."""
        fault = self.active.get(fault_id)
        if fault is None:  # healed or taken back while the target worked
            return self
        return _with(self, replace(fault, cut_after_success=fault.cut_after_success + 1))

    def refused(self, *, aborted: int, probes: int) -> FaultBook:
        """With what the closed port did, booked on every fault that keeps it closed."""
        book = self
        for fault in self.active.values():
            if fault.kind is Kind.REFUSE:
                more = fault.aborted + aborted
                probed = fault.probes_refused + probes
                book = _with(book, replace(fault, aborted=more, probes_refused=probed))
        return book


def _with(book: FaultBook, fault: Fault) -> FaultBook:
    return replace(book, active={**book.active, fault.id: fault})
