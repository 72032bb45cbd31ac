"""Where does what was seen differ from what the contract demands? The values that say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from loomtriage.contract import reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One difference between what was seen and the contract.

    Attributes:
        where: signal and place, `metrics outbox_lag_events`, `traces outbox.process`.
        what: what is missing, odd or spelled otherwise.
        seen: how many series, spans or lines show it.
        of: among how many.
    """

    where: str
    what: str
    seen: int = 1
    of: int = 1

    def __str__(self) -> str:
        share = f" ({self.seen} of {self.of})" if self.of > 1 else ""
        return f"{self.what} in {self.where}{share}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was seen of one demand.

    Attributes:
        demand: id in `contract.demands`.
        n: things that were judged; 0 means that there was nothing to judge by.
        gaps: differences, empty when the demand is met.
        note: a measured figure worth saying either way, one sentence.
    """

    demand: str
    n: int
    gaps: tuple[Gap, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One reason as a signal wrote it: where, which name, whether an HTTP status stood beside."""

    where: str
    reason: str
    has_status: bool = False


def counted(found: Counter[tuple[str, str]], totals: Counter[str]) -> tuple[Gap, ...]:
    """Gaps from counts by (where, what), each with the total of its place."""
    return tuple(
        Gap(where=where, what=what, seen=seen, of=max(totals[where], seen))
        for (where, what), seen in sorted(found.items())
    )


def reasons_spoken(spoken: Iterable[Spoken]) -> tuple[Answer, ...]:
    """Are the reasons of the enum, under their names, and are 4xx refusals told apart?"""
    unknown: Counter[tuple[str, str]] = Counter()
    alias: Counter[tuple[str, str]] = Counter()
    vague: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    for one in spoken:
        totals[one.where] += 1
        place = (one.where, f"reason {one.reason}")
        if reasons.is_alias(one.reason):
            alias[one.where, f"reason {one.reason} for {reasons.canonical(one.reason)}"] += 1
        elif not reasons.is_known(one.reason) and one.reason not in reasons.SUMMARIES:
            unknown[place] += 1
        if reasons.canonical(one.reason) == "es_4xx" and not one.has_status:
            vague[place] += 1
    n = totals.total()
    return (
        Answer(demand="reasons_known", n=n, gaps=counted(unknown, totals)),
        Answer(demand="reasons_spelling", n=n, gaps=counted(alias, totals)),
        Answer(demand="reasons_status", n=n, gaps=counted(vague, totals)),
    )
