"""Signs: what do traces and logs show while a metric of the contract moves?

A drill promises what the lab's counters do. Spans and lines follow from it, since a worker tells
the same end of an attempt to all three signals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from loomtriage.contract.events import NO_COLLECTOR, ROW_PREFIX
from loomtriage.contract.reasons import BY_NAME
from loomtriage.contract.spans import BATCH, CLAIM, ROW
from loomtriage.drills.drill import Drill
from loomtriage.publish.words import moves


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What spans and lines show while one metric moves; each may be empty."""

    spans: str = ""
    lines: str = ""


SIGNS: Mapping[str, Sign] = MappingProxyType(
    {
        "retry_scheduled": Sign(
            spans=f"`{ROW}` spans end in an error with `result=retry`",
            lines=f"`{ROW_PREFIX}retry` warnings with `reason`, `error` and `backoff_s`",
        ),
        "terminal_failed": Sign(
            spans=f"`{ROW}` spans end in an error with `result=failed`, at the first attempt",
            lines=f"`{ROW_PREFIX}failed` errors with `reason` and `error`",
        ),
        "processed": Sign(
            spans=f"fewer `{ROW}` spans with `result=ok`, or longer ones: compare own time with "
            "the healthy twin",
            lines=f"fewer `{ROW_PREFIX}done` lines",
        ),
        "bulk_requests": Sign(
            spans=f"one `POST` span below `{BATCH}` whose HTTP status is good, while rows of the "
            "batch fail",
            lines="`outbox.bulk_request` warnings with `result`, `items` and `failed_items`",
        ),
        "contention": Sign(
            spans=f"`{CLAIM}` spans with `claimed=0` and `reason=db_contention`, nothing below",
            lines="`outbox.claim_starved` or `outbox.claim_refused` warnings",
        ),
        "reclaimed": Sign(
            spans=f"claims whose `{BATCH}` span never comes: a span is sent when it ends",
            lines="`outbox.reclaimed` warnings that name the previous owner",
        ),
        "trace_export_failures": Sign(
            spans="fewer spans or none; what is not seen is not healthy",
            lines=" or ".join(f"`{event}`" for event in NO_COLLECTOR) + " warnings",
        ),
        "idempotent_noop": Sign(
            spans=f"`{ROW}` spans with `wordloom.idempotent_noop`",
            lines=f"`{ROW_PREFIX}done` lines with `noop`",
        ),
    }
)


def signs_of(drill: Drill) -> tuple[Sign, ...]:
    """One for each metric that the drill promises to move and that spans or lines tell of."""
    moved = dict.fromkeys(
        metric for one in drill.expect if moves(one) and (metric := getattr(one, "metric", ""))
    )
    return tuple(SIGNS[metric] for metric in moved if metric in SIGNS)


def reasons_of(drill: Drill) -> tuple[str, ...]:
    """What each reason means that the drill promises to see, one line of Markdown each."""
    promised = (getattr(one, "reason", "") for one in drill.expect if moves(one))
    names = dict.fromkeys(filter(None, (drill.scope.reason, *promised)))
    return tuple(
        f"`reason={name}`: {BY_NAME[name].says}"
        + (f" The HTTP status is {status}." if (status := BY_NAME[name].status) else "")
        for name in names
        if name in BY_NAME
    )
