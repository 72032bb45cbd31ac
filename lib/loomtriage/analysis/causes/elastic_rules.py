"""Rules about Elasticsearch and the projections' own code: which reasons name which cause?"""

from __future__ import annotations

from dataclasses import replace

from loomtriage.analysis.causes.conclusion import Conclusion, Signature, conclude_from
from loomtriage.analysis.causes.facts import Facts
from loomtriage.analysis.causes.reasons import Blame

ES_SILENT = ("es_unreachable", "es_timeout", "es_request_error")
FOR_GOOD = ("mapping_conflict", "es_write_blocked", "es_4xx")
CODE = ("deterministic_exception", "unknown_exception")

DOWN = Signature(cause="es_down", classes=("ConnectError",), silent=True)
SLOW = Signature(cause="es_slow", classes=("ReadTimeout", "WriteTimeout", "PoolTimeout"))
REJECTS = Signature(cause="es_429", statuses=(429, 429))
BROKEN = Signature(cause="es_5xx", statuses=(500, 599))
BLOCKED = Signature(cause="es_write_block", statuses=(403, 403))
PARTIAL = Signature(cause="es_bulk_partial", statuses=(400, 400))
POISON = Signature(cause="es_poison_4xx", statuses=(400, 400))
CODE_FAILS = Signature(cause="projection_code")
LOST = Signature(cause="duplicate_delivery", classes=("ReadError", "RemoteProtocolError"))
SHARED = Signature(cause="shared_dependency")


def _cannot_connect(facts: Facts) -> bool:
    """Whether most of what went unanswered could not even connect: one refusal is no outage."""
    silent = {b.reason: b.observed for b in facts.blamed(*ES_SILENT, result="retry")}
    return "es_unreachable" in silent and silent["es_unreachable"] >= max(silent.values())


def es_down(facts: Facts) -> Conclusion | None:
    """No connection can be opened."""
    if not _cannot_connect(facts):
        return None
    answered = facts.spoken.statuses or facts.written.statuses
    rejected = (
        "" if answered else "es_429: no HTTP status was received",
        "collector_down: the business counters moved",
        ""
        if facts.blamed(*FOR_GOOD, result="failed")
        else "es_poison_4xx: nothing failed for good",
    )
    blames = facts.blamed(*ES_SILENT, result="retry")
    return conclude_from(DOWN, facts, blames, rejected=rejected)


def es_slow(facts: Facts) -> Conclusion | None:
    """Connections open, and answers do not come in time."""
    blames = facts.blamed("es_timeout")
    if not blames or _cannot_connect(facts):
        return None
    rejected = ("es_down: connections were opened", "db_contention: calls to Elasticsearch ran out")
    return conclude_from(SLOW, facts, blames, rejected=rejected)


def answers_lost(facts: Facts) -> Conclusion | None:
    """Requests go out and their answers break off: what was written is written again."""
    blames = facts.blamed("es_request_error", result="retry")
    if not blames or _cannot_connect(facts):
        return None
    rejected = ("es_down: connections were opened", "es_429: no status came back")
    because = ("the connection broke after the request was sent, so its write may come twice",)
    return conclude_from(LOST, facts, blames, because=because, rejected=rejected)


def es_429(facts: Facts) -> Conclusion | None:
    """Something answers writes with 429: the statuses do not say what."""
    blames = facts.blamed("rate_limited")
    if not blames:
        return None
    final = facts.blamed("rate_limited", *FOR_GOOD, result="failed")
    rejected = (
        "es_down: the connection was opened",
        "" if final else "es_poison_4xx: nothing failed for good",
    )
    return conclude_from(REJECTS, facts, blames, rejected=rejected)


def es_5xx(facts: Facts) -> Conclusion | None:
    """Elasticsearch answers, with errors of its own."""
    blames = facts.blamed("es_5xx")
    if not blames:
        return None
    rejected = ("es_down: it answers", "es_429: the status is 5xx, not 429")
    return conclude_from(BROKEN, facts, blames, rejected=rejected)


def write_block(facts: Facts) -> Conclusion | None:
    """Every write is refused with 403."""
    blames = facts.blamed("es_write_blocked")
    if not blames:
        return None
    rejected = ("es_poison_4xx: the status is 403, not 400",)
    return conclude_from(BLOCKED, facts, blames, rejected=rejected)


def bulk_partial(facts: Facts) -> Conclusion | None:
    """Items fail inside bulk requests whose other items succeed."""
    partial = facts.bulk.get("partial", 0.0)
    blames = facts.blamed("mapping_conflict", "es_4xx", result="failed")
    if partial < 1 or not blames:
        return None
    because = [f"{partial:.0f} bulk requests ended partial"]
    if facts.outcomes_lost:
        because.append(f"{facts.outcomes_lost} lines say that a bulk span missed its outcome")
    rejected = ("es_poison_4xx: items failed inside requests whose other items succeeded",)
    found = conclude_from(PARTIAL, facts, blames, because=tuple(because), rejected=rejected)
    agree = "logs" not in found.legs and facts.outcomes_lost
    return replace(found, legs=(*found.legs, "logs")) if agree else found


def poison(facts: Facts) -> Conclusion | None:
    """Single documents do not fit the mapping, others do."""
    blames = facts.blamed("mapping_conflict", result="failed")
    if not blames or facts.bulk.get("partial", 0.0) >= 1:
        return None
    rejected = ["es_write_block: the status is 400, not 403"]
    if facts.processed and facts.processed[0] > 0:
        rejected.append(f"es_write_block: {facts.processed[0]:.0f} other rows were finished")
    return conclude_from(POISON, facts, blames, rejected=tuple(rejected))


def projection_code(facts: Facts) -> Conclusion | None:
    """One projection's own code raises."""
    blames = facts.blamed(*CODE)
    if not blames or len(_projections(blames)) > 1:
        return None
    rejected = ("es_down: no call to Elasticsearch is blamed",)
    return conclude_from(CODE_FAILS, facts, blames, rejected=rejected)


def shared_dependency(facts: Facts) -> Conclusion | None:
    """Both projections raise: they share database and producer, and nothing else."""
    blames = facts.blamed(*CODE)
    places = _projections(blames)
    if len(places) < 2:
        return None
    both = f"{' and '.join(places)} fail together"
    rejected = ("projection_code: two projections share no code of their own",)
    return conclude_from(SHARED, facts, blames, because=(both,), rejected=rejected)


def _projections(blames: tuple[Blame, ...]) -> tuple[str, ...]:
    return tuple(sorted({place for blame in blames for place in blame.projections}))
