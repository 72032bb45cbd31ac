"""Which cause do the facts name? A decision list; each rule says what fired and was rejected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loomtriage.analysis.facts import Blame, Facts

ES_SILENT = ("es_unreachable", "es_timeout", "es_request_error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """One rule's outcome.

    Attributes:
        cause: id from `contract.causes`.
        because: the facts that fired, one sentence each.
        rejected: look-alikes and the discriminator that ruled them out.
        weight: attempts that it explains.
        strong: whether the counts alone carry it; else it stands on agreement of the signals.
    """

    cause: str
    because: tuple[str, ...]
    rejected: tuple[str, ...] = ()
    weight: float = 0.0
    strong: bool = False


Rule = Callable[[Facts], Conclusion | None]


def decide(facts: Facts) -> tuple[Conclusion, ...]:
    """All rules that fire, the one that explains most first; empty when none does."""
    fired = [conclusion for rule in RULES if (conclusion := rule(facts)) is not None]
    return tuple(sorted(fired, key=lambda c: (-c.strong, -c.weight)))


def _from(blames: tuple[Blame, ...]) -> tuple[tuple[str, ...], float, bool]:
    return (
        tuple(str(b) for b in blames),
        sum(b.observed - b.expected for b in blames),
        any(b.strong for b in blames),
    )


def _es_down(facts: Facts) -> Conclusion | None:
    blames = facts.blamed(*ES_SILENT, result="retry")
    if not facts.blamed("es_unreachable", result="retry"):
        return None
    because, weight, strong = _from(blames)
    extra = []
    if facts.without_status:
        extra.append(f"{facts.without_status} failing client spans without any HTTP status")
    if facts.error_classes.get("ConnectError"):
        extra.append(f"ConnectError named {facts.error_classes['ConnectError']} times")
    rejected = ["es_429: no HTTP status was received" if not facts.statuses else ""]
    rejected.append("collector_down: the business counters moved")
    rejected.append(
        "es_poison_4xx: nothing failed for good"
        if not facts.blamed("mapping_conflict", "es_write_blocked", "es_4xx", result="failed")
        else ""
    )
    return Conclusion(
        cause="es_down",
        because=(*because, *extra),
        rejected=tuple(r for r in rejected if r),
        weight=weight,
        strong=strong,
    )


def _es_429(facts: Facts) -> Conclusion | None:
    blames = facts.blamed("rate_limited")
    if not blames:
        return None
    because, weight, strong = _from(blames)
    rejected = ["es_down: the connection was opened"]
    if not facts.blamed("rate_limited", result="failed"):
        rejected.append("es_poison_4xx: nothing failed for good")
    return Conclusion(
        cause="es_429", because=because, rejected=tuple(rejected), weight=weight, strong=strong
    )


def _write_block(facts: Facts) -> Conclusion | None:
    blames = facts.blamed("es_write_blocked")
    if not blames:
        return None
    because, weight, strong = _from(blames)
    seen = facts.statuses.get(403, 0)
    return Conclusion(
        cause="es_write_block",
        because=(*because, f"HTTP 403 seen {seen} times"),
        rejected=("es_poison_4xx: the status is 403, not 400",),
        weight=weight,
        strong=strong,
    )


def _bulk_partial(facts: Facts) -> Conclusion | None:
    partial = facts.bulk.get("partial", 0.0)
    blames = facts.blamed("mapping_conflict", "es_4xx", result="failed")
    if partial < 1 or not blames:
        return None
    because, weight, strong = _from(blames)
    return Conclusion(
        cause="es_bulk_partial",
        because=(f"{partial:.0f} bulk requests ended partial", *because),
        rejected=("es_poison_4xx: items failed inside requests whose other items succeeded",),
        weight=weight + partial,
        strong=strong,
    )


def _poison(facts: Facts) -> Conclusion | None:
    if facts.bulk.get("partial", 0.0) >= 1:
        return None
    blames = facts.blamed("mapping_conflict", result="failed")
    if not blames:
        return None
    because, weight, strong = _from(blames)
    return Conclusion(
        cause="es_poison_4xx",
        because=because,
        rejected=("es_write_block: the status is 400, not 403",),
        weight=weight,
        strong=strong,
    )


def _contention(facts: Facts) -> Conclusion | None:
    skips = facts.rose("owner_mismatch")
    blames = facts.blamed("db_contention")
    if skips < 1 and not blames:
        return None
    because, weight, _ = _from(blames)
    return Conclusion(
        cause="db_contention",
        because=(f"{skips:.0f} claimed rows had been taken by another worker", *because),
        rejected=() if facts.rose("reclaimed") else ("stuck_reclaim: nothing was reclaimed",),
        weight=weight + skips,
        strong=skips >= 6,
    )


def _stuck(facts: Facts) -> Conclusion | None:
    reclaimed = max(facts.rose("reclaimed"), float(facts.reclaimed_in_lines))
    leases = facts.blamed("lease_expired")
    if reclaimed < 1 and facts.stuck < 1 and not leases:
        return None
    because = []
    if reclaimed:
        because.append(f"{reclaimed:.0f} rows of expired claims were reclaimed")
    if facts.stuck:
        because.append(f"up to {facts.stuck:.0f} rows were stuck with an expired lease")
    because += [str(b) for b in leases]
    return Conclusion(
        cause="stuck_reclaim",
        because=tuple(because),
        rejected=()
        if facts.rose("owner_mismatch")
        else ("db_contention: no worker found its row taken by another",),
        weight=reclaimed + facts.stuck,
        strong=reclaimed >= 6 or facts.stuck >= 6,
    )


def _collector(facts: Facts) -> Conclusion | None:
    if not facts.exporter_lost or facts.blames:
        return None
    if facts.traces:
        return None
    return Conclusion(
        cause="collector_down",
        because=(
            f"{facts.exporter_lost} log lines say that the trace exporter reaches no collector",
            "no span arrived, and no attempt failed",
        ),
        rejected=("es_down: the business counters show no failure",),
        weight=float(facts.exporter_lost),
        strong=True,
    )


RULES: tuple[Rule, ...] = (
    _es_down,
    _es_429,
    _write_block,
    _bulk_partial,
    _poison,
    _contention,
    _stuck,
    _collector,
)
