"""Plan in words: what does an operator read before and after a replay?"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from loomtriage.closeout.plan_file import LIFE, SHOWN_DIGITS, Plan, PlannedBucket
from loomtriage.closeout.replay import Outcome
from loomtriage.closeout.strategy import Offer
from loomtriage.closeout.watch import UNSETTLED
from loomtriage.contract.keys import CHRONICLE
from loomtriage.model.window import iso

LABEL = "{:<10}{}"
MOST_SHOWN = 20
OFFERS = {
    Offer.ALL: "may be replayed",
    Offer.CANARY: "one row may be replayed, as a canary",
    Offer.NOTHING: "not offered for replay",
}


def plan_words(plan: Plan, path: str, source: str) -> str:
    """A plan as a few aligned lines, and the command that comes next."""
    failed = plan.counts.get("failed", 0)
    may = f"{len(plan.rows)} of {failed} failed rows may be replayed now."
    lines = [
        may if plan.buckets else "No row failed for good; there is nothing to close out.",
        LABEL.format("target", str(plan.target)),
        LABEL.format("rows", ", ".join(f"{s} {n}" for s, n in plan.counts.items()) or "none"),
    ]
    for bucket in plan.buckets[:MOST_SHOWN]:
        lines += _bucket_words(bucket, is_dated=plan.projection != CHRONICLE)
    if len(plan.buckets) > MOST_SHOWN:
        lines.append(LABEL.format("", f"{len(plan.buckets) - MOST_SHOWN} more are in the file."))
    if plan.truncated:
        lines.append(LABEL.format("note", "More rows failed than a plan reads; plan again."))
    if plan.index:
        lines.append(LABEL.format("index", f"would find failed rows sooner: {plan.index}"))
    if not plan.buckets:
        return "\n".join(lines)
    lines.append(LABEL.format("plan", f"{path}, good until {iso(plan.made_at + LIFE)}"))
    if plan.rows:
        lines.append(LABEL.format("next", f"{_command(path, source)}   (a dry run)"))
    return "\n".join(lines)


def dry_words(plan: Plan, told: Mapping[str, int], *, plan_path: str, source: str) -> str:
    """What a replay would do, and the exact command that would do it."""
    head = (
        f"DRY RUN: {_rows(told['ready'])} would go back to pending, one of each bucket first; "
        f"{told['changed']} changed since the plan, {told['before']} replayed by it before."
    )
    lines = [
        head,
        LABEL.format("target", str(plan.target)),
        LABEL.format("digest", plan.digest()),
    ]
    planned = {row.bucket for row in plan.rows}
    for bucket in plan.buckets:
        if bucket.number in planned:
            count = sum(1 for row in plan.rows if row.bucket == bucket.number)
            lines.append(
                LABEL.format(f"bucket {bucket.number}", f"{_rows(count)}: {_kind(bucket)}")
            )
            lines.append(LABEL.format("first", bucket.first_do))
    if told["ready"]:
        words = [
            _command(plan_path, source),
            f"--apply --confirm-env {plan.target.env or 'ENV'}",
            f"--digest {plan.digest()[:SHOWN_DIGITS]} --by YOU --why WHY",
        ]
        words += ["--fixed WHAT"] if plan.needs_note else []
        lines.append(LABEL.format("apply", " ".join(words)))
    return "\n".join(lines)


def outcome_words(plan: Plan, outcome: Outcome) -> str:
    """What a replay came to."""
    settled = outcome.settled
    open_rows = sum(settled.get(status, 0) for status in UNSETTLED)
    again = settled.get("failed", 0)
    skipped = sum(map(len, outcome.skipped.values()))
    word = "STOPPED" if outcome.stopped else "REPLAYED" if outcome.replayed else "NOTHING TO DO"
    head = (
        f"{word}: {_rows(outcome.replayed)} put back by this run, {outcome.before} before it, "
        f"{skipped} skipped, of {len(plan.rows)} planned."
    )
    lines = [
        head,
        LABEL.format(
            "now", f"{settled.get('done', 0)} done, {again} failed again, {open_rows} not done yet"
        ),
    ]
    if outcome.stopped:
        left = len(plan.rows) - outcome.replayed - outcome.before - skipped
        lines.append(LABEL.format("because", outcome.stopped))
        lines.append(LABEL.format("left", f"{_rows(left)} untouched"))
        if not outcome.cut:
            lines.append(LABEL.format("do", "Repair the cause, then plan anew: close-out plan."))
    if outcome.ready:
        lines.append(LABEL.format("again", f"a dry run finds {_rows(outcome.ready)} as planned"))
    for why, ids in sorted(outcome.skipped.items()):
        shown = ", ".join(ids[:3]) + (" ..." if len(ids) > 3 else "")
        lines.append(LABEL.format("skipped", f"{_rows(len(ids))} {why}: {shown}"))
    return "\n".join(lines)


def _bucket_words(bucket: PlannedBucket, *, is_dated: bool) -> list[str]:
    enqueued = "" if is_dated else "enqueued "
    offer = OFFERS[Offer(bucket.offer)]
    replays = f", replayed {bucket.replays}x before" if bucket.replays else ""
    return [
        LABEL.format(f"bucket {bucket.number}", f"{_rows(bucket.n)}: {_kind(bucket)}; {offer}"),
        LABEL.format("  error", bucket.template or "none stored"),
        LABEL.format("  seen", f"{enqueued}{bucket.first} to {bucket.last}{replays}"),
        LABEL.format("  why", bucket.why),
        LABEL.format("  first", bucket.first_do),
        LABEL.format("  rows", ", ".join(bucket.examples) + (" ..." if bucket.n > 3 else "")),
    ]


def _kind(bucket: PlannedBucket) -> str:
    return f"{bucket.reason or 'no reason'}, {bucket.op} of {bucket.entity_type}, {bucket.action}"


def _command(path: str, source: str) -> str:
    return f"loomtriage close-out replay {shlex.quote(path)} --source {shlex.quote(source)}"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
