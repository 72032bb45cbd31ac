"""What does a rule conclude, and which signals say so beside the counters?"""

from __future__ import annotations

from dataclasses import dataclass

from loomtriage.analysis.causes.facts import Facts
from loomtriage.analysis.causes.reasons import Blame

UNHARMED = "database or producer: {} finished rows unharmed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """One rule's outcome.

    Attributes:
        cause: id from `contract.causes`.
        because: the facts that fired, one sentence each.
        rejected: look-alikes and the discriminator that ruled them out.
        weight: independent events that it explains (rows, each counted once).
        strong: whether the counts alone carry it; else it stands on agreement of the signals.
        legs: signals that say so, `metrics`, `traces`, `logs` or `rows`.
        explains: reasons and counters that need no other cause.
        aside: whether work goes on unharmed, so that any other fault comes first.
    """

    cause: str
    because: tuple[str, ...]
    rejected: tuple[str, ...] = ()
    weight: float = 0.0
    strong: bool = False
    legs: tuple[str, ...] = ("metrics",)
    explains: tuple[str, ...] = ()
    aside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How spans and lines tell of a cause, beside its reasons.

    Attributes:
        cause: id from `contract.causes`.
        statuses: first and last HTTP status that says so.
        classes: exception classes that say so.
        silent: whether a call that never got a status says so.
    """

    cause: str
    statuses: tuple[int, int] = (0, 0)
    classes: tuple[str, ...] = ()
    silent: bool = False


def conclude_from(
    signature: Signature,
    facts: Facts,
    blames: tuple[Blame, ...],
    *,
    because: tuple[str, ...] = (),
    rejected: tuple[str, ...] = (),
) -> Conclusion:
    """A conclusion from blamed reasons: what else agrees, and which projection is unharmed."""
    legs, said = (["metrics"] if facts.processed else []), list(because)
    for leg, voice in (("traces", facts.spoken), ("logs", facts.written)):
        low, high = signature.statuses
        found = (
            (voice.names(*(b.reason for b in blames)), "the reason"),
            (sum(n for s, n in voice.statuses.items() if low <= s <= high), f"HTTP {low}"),
            (sum(voice.classes.get(name, 0) for name in signature.classes), signature.classes[:1]),
            (voice.without_status if signature.silent else 0, "a call without any HTTP status"),
        )
        told = [f"{what if isinstance(what, str) else what[0]} {n} times" for n, what in found if n]
        if told:
            legs.append(leg)
            said.append(f"{leg} name {', '.join(told)}")
    control = UNHARMED.format(", ".join(facts.unharmed)) if facts.unharmed else ""
    return Conclusion(
        cause=signature.cause,
        because=(*(str(b) for b in blames), *said),
        rejected=tuple(text for text in (*rejected, control) if text),
        weight=sum(b.observed - b.expected for b in blames),
        strong=any(b.strong for b in blames),
        legs=tuple(legs),
        explains=tuple(dict.fromkeys(b.reason for b in blames)),
    )


def with_voices(facts: Facts, reason: str, *, counted: bool) -> tuple[str, ...]:
    """Metrics where they counted it, and each signal whose spans or lines name the reason."""
    voices = (("traces", facts.spoken), ("logs", facts.written))
    told = tuple(leg for leg, voice in voices if voice.names(reason))
    return ("metrics", *told) if counted else told
