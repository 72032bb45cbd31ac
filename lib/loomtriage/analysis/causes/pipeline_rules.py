"""Rules about the pipeline itself: claims, leases, repeats, versions and the trace exporter."""

from __future__ import annotations

from loomtriage.analysis.causes.conclusion import Conclusion, with_voices
from loomtriage.analysis.causes.facts import Facts
from loomtriage.analysis.surprise import FLOOR_EVENTS


def contention(facts: Facts) -> Conclusion | None:
    """Workers contend for rows or locks."""
    skips, locked = facts.rose("owner_mismatch"), facts.rose("contention")
    reclaimed = facts.rose("reclaimed") or facts.reclaimed_in_lines
    blames = facts.blamed("db_contention")
    if skips + locked < 1 and not blames:
        return None
    because = []
    if skips:
        because.append(f"{skips:.0f} claimed rows had been taken by another worker")
    if locked:
        because.append(f"{locked:.0f} claims or acknowledgements found their rows locked")
    return Conclusion(
        cause="db_contention",
        because=(*because, *(str(b) for b in blames)),
        rejected=() if reclaimed else ("stuck_reclaim: nothing was reclaimed",),
        weight=skips + locked + sum(b.observed for b in blames),
        strong=skips + locked >= FLOOR_EVENTS,
        legs=with_voices(facts, "db_contention", counted=skips + locked >= 1),
        explains=("owner_mismatch", "contention", "db_contention"),
    )


def stuck(facts: Facts) -> Conclusion | None:
    """Rows wait for the lease of an owner that is silent, or so slow that others took them.

    A lease that ended says neither alone: an owner that works on comes back to its rows.
    """
    counted, told = facts.rose("reclaimed"), float(facts.reclaimed_in_lines)
    leases = facts.blamed("lease_expired")
    # A row of the outbox says nothing of when it began: few of them alone are no suspicion.
    held = (facts.expired >= FLOOR_EVENTS or facts.stuck >= 1) and not facts.owners_live
    if max(counted, told) < 1 and not held and not leases:
        return None
    reclaimed = max(counted, told)
    said = (
        (reclaimed, f"expired claims of rows were reclaimed {reclaimed:.0f} times"),
        (facts.stuck, f"up to {facts.stuck:.0f} rows were stuck with an expired lease"),
        (facts.expired, f"{facts.expired} rows in the outbox are held beyond their lease"),
        (facts.owners_live is False, "a worker of that projection has ended no row since then"),
    )
    own = facts.written.names("lease_expired") + facts.spoken.names("lease_expired")
    because = [text for count, text in said if count]
    because += [f"a worker found its own lease expired {own} times: it lives, and is slow"] * (
        own > 0
    )
    skips = facts.rose("owner_mismatch")
    legs = ("metrics",) * (counted >= 1 or facts.stuck >= 1)
    legs += with_voices(facts, "lease_expired", counted=False)
    legs += ("logs",) * (told >= 1 and "logs" not in legs) + ("rows",) * (facts.expired >= 1)
    weight = max(reclaimed, facts.stuck, float(facts.expired))
    return Conclusion(
        cause="stuck_reclaim",
        because=(*because, *(str(b) for b in leases)),
        rejected=() if skips else ("db_contention: no worker found its row taken by another",),
        weight=weight,
        # Leases that ended carry the name only where an owner was seen to be silent.
        strong=(reclaimed if facts.owners_live is not False else weight) >= FLOOR_EVENTS,
        legs=legs,
        # A worker that wakes up after a reclaim finds its rows taken: no contention.
        explains=("reclaimed", "lease_expired") + ("owner_mismatch",) * (reclaimed >= skips),
    )


def duplicates(facts: Facts) -> Conclusion | None:
    """Events come more than once."""
    noops, again, repeats = facts.rose("idempotent_noop"), facts.again, facts.repeats
    if noops < 1 and repeats < 1:
        return None
    said = (
        (noops, "metrics", f"{noops:.0f} deletes found nothing to delete"),
        (again.noops_in_spans, "traces", f"{again.noops_in_spans} row spans say no-op"),
        (again.noops_in_lines, "logs", f"{again.noops_in_lines} lines say no-op"),
        (repeats, "traces", f"{repeats:.0f} rows were finished again"),
        (_surplus(facts), "metrics", f"{_surplus(facts):.0f} more rows finished than enqueued"),
    )
    rejected = ["more load: each repeat is of a row or document that was finished before"]
    if not again.skipped:
        rejected.append("missing source rows: no line says that a row was skipped")
    return Conclusion(
        cause="duplicate_delivery",
        because=tuple(text for count, _, text in said if count),
        rejected=tuple(rejected),
        weight=max(noops, repeats),
        strong=max(noops, repeats) >= FLOOR_EVENTS,
        legs=tuple(dict.fromkeys(leg for count, leg, _ in said if count)),
        explains=("idempotent_noop",),
        aside=True,
    )


def _surplus(facts: Facts) -> float:
    """Rows finished beyond what the API says it enqueued, where it says so.

    The API does not count every projection's rows, and what the baseline left undone is finished
    now: what the baseline had of either is taken off.
    """
    made, made_before = facts.extra.get("produced", (0.0, 0.0))
    done, done_before = facts.processed or (0.0, 0.0)
    surplus = done - made - abs(done_before - made_before)
    return max(surplus, 0.0) if made > 0 and made_before > 0 else 0.0


def version(facts: Facts) -> Conclusion | None:
    """Two versions of the rule wrote within one window, or another one than before."""
    before = {name for named in facts.versions_before.values() for name in named}
    now = {name for named in facts.versions.values() for name in named}
    new = now - before
    if not new or not before:
        return None
    counts = {leg: sum(named.get(v, 0) for v in new) for leg, named in facts.versions.items()}
    events = max(counts.values())
    return Conclusion(
        cause="projection_version",
        because=(
            f"version {', '.join(sorted(now))} in the window, {', '.join(sorted(before))} before",
            *(f"{leg} name the new one {n} times" for leg, n in counts.items() if n),
        ),
        rejected=("duplicate_delivery: the rule's own version field changed",),
        weight=float(events),
        strong=events >= FLOOR_EVENTS,
        legs=tuple(leg for leg, n in counts.items() if n),
        explains=("projection_version",),
        aside=True,
    )


def collector(facts: Facts) -> Conclusion | None:
    """Spans are lost, whatever work does."""
    failures = facts.rose("trace_export_failures")
    gone = facts.exporter_lost > 0 or failures >= 1
    if not gone or (facts.traces and not facts.spans_stopped and failures < FLOOR_EVENTS):
        return None
    said = (
        (failures, "metrics", f"{failures:.0f} batches of spans were not taken"),
        (
            facts.exporter_lost,
            "logs",
            f"{facts.exporter_lost} log lines say that the trace exporter reaches no collector",
        ),
        (not facts.traces, "traces", "no span arrived"),
        (
            facts.spans_stopped,
            "traces",
            f"no span in the last {facts.quiet.seconds:.0f} s of {facts.quiet.rows:.0f} rows",
        ),
    )
    unharmed = "es_down: the business counters show no failure"
    return Conclusion(
        cause="collector_down",
        because=tuple(text for holds, _, text in said if holds),
        rejected=(
            "tracing off or sampled out: the exporter itself complains",
            *(() if facts.blames else (unharmed,)),
        ),
        weight=max(failures, float(facts.exporter_lost)),
        strong=facts.processed is not None and (failures >= FLOOR_EVENTS or facts.spans_stopped),
        legs=tuple(dict.fromkeys(leg for holds, leg, _ in said if holds)),
        aside=True,
    )
