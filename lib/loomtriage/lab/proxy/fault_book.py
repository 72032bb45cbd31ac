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
    """Which requests an answering fault answers, and how.

    Attributes:
        status: HTTP status of the answer.
        every: answers each n-th matching request; 1 answers all.
        ratio: share of matching requests to answer instead of `every`; None for none.
        seed: makes the choice of `ratio` repeatable.
        retry_after_s: value of the header Retry-After, None for no header.
        methods: HTTP methods that match, empty for all.
        path: shell pattern that the path without its query must match.
    """

    status: int
    every: int = 1
    ratio: float | None = None
    seed: int = 0
    retry_after_s: int | None = None
    methods: tuple[str, ...] = WRITES
    path: str = "*"

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is one that this rule counts."""
        return (not self.methods or method in self.methods) and fnmatchcase(path, self.path)

    def answers(self, nth: int) -> bool:
        """Whether the n-th matching request, counted from 1, is answered."""
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
        rule: of an answering fault.
        expires_at_s: on the lease clock.
        since: when it was applied.
        seen: requests that matched the rule.
        answered: requests that it answered.
        aborted: connections that it reset.
        probes_refused: connects of the proxy itself that the closed port refused.
    """

    id: str
    kind: Kind
    rule: Rule | None = None
    expires_at_s: float
    since: datetime
    seen: int = 0
    answered: int = 0
    aborted: int = 0
    probes_refused: int = 0

    @property
    def acted(self) -> int:
        """How often the fault did something: the witness that it was there."""
        return self.answered + self.aborted + self.probes_refused


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

    def meet(self, method: str, path: str, *, now: Moment) -> tuple[FaultBook, Rule | None]:
        """With one more request counted, and the rule that answers it, if any does."""
        book = self.sweep(now)
        for fault in book.active.values():
            rule = fault.rule
            if rule is None or not rule.matches(method, path):
                continue
            nth = fault.seen + 1
            answers = rule.answers(nth)
            book = _with(book, replace(fault, seen=nth, answered=fault.answered + int(answers)))
            if answers:
                return book, rule
        return book, None

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
