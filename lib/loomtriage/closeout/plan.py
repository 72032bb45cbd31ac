"""Plan: which failed rows are there, what closes each bucket out, and which may be replayed now?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from loomtriage.closeout.buckets import Bucket, Buckets, Likeness, last_failures
from loomtriage.closeout.failed_rows import (
    MOST_READ,
    Asked,
    FailedRow,
    advice,
    failed_rows,
    last_failure,
    passed,
    status_counts,
    waiting,
)
from loomtriage.closeout.plan_file import Plan, PlannedBucket, PlannedRow
from loomtriage.closeout.proof import Kind, digits_alike, proofs
from loomtriage.closeout.strategy import QUIET_S, UNDATED, Circumstances, Offer, strategy
from loomtriage.closeout.target import Connection, connected, read_target
from loomtriage.contract.reasons import stored_reason
from loomtriage.settings import account

DEFAULT_ROWS = 500
UNREAD = "more rows failed than a plan reads, so the last failure may be unseen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a plan is to hold.

    Attributes:
        asked: which failed rows are looked at.
        reason: only buckets of this canonical reason may be replayed; empty for all.
        most: rows that the plan may hold.
        quiet_s: seconds without a failure after which a cause may be over.
    """

    asked: Asked
    reason: str = ""
    most: int = DEFAULT_ROWS
    quiet_s: float = QUIET_S


def make_plan(dsn: str, wanted: Wanted, *, template: Callable[[str], str]) -> Plan:
    """Read the failed rows, judge their buckets, and fix the rows that may be replayed.

    Args:
        dsn: of a role that can only read.
        wanted: which rows, and how many.
        template: masks ids and numbers of an error text.

    Raises:
        SourceUnavailable: the database does not answer.
        UsageError: there is no such projection.
    """
    asked, table = wanted.asked, wanted.asked.table
    with connected(dsn, read_only=True) as connection:
        target = read_target(connection)
        found = _Found(template)
        for row in failed_rows(connection, asked):
            found.add(row)
        buckets = found.buckets.found()
        causes = _causes(connection, wanted, found, buckets)
        planned = tuple(
            _judged(connection, wanted, bucket, cause)
            for bucket, cause in zip(buckets, causes, strict=True)
        )
        counts = status_counts(connection, table)
        proposal = advice(connection, asked)
        connection.rollback()
    rows = _chosen(found.rows, planned, wanted)
    return Plan(
        made_at=datetime.now(UTC),
        made_by=account(),
        target=target,
        projection=asked.projection,
        table=table,
        quiet_s=wanted.quiet_s,
        counts=counts,
        buckets=planned,
        rows=rows,
        index=proposal,
        truncated=found.truncated,
    )


class _Found:
    """Rows and buckets as they are read; an error text is masked once."""

    def __init__(self, template: Callable[[str], str]) -> None:
        self.buckets = Buckets()
        self.rows: list[PlannedRow] = []
        self.stored: dict[int, str] = {}
        self.masked = lru_cache(4096)(template)

    def add(self, row: FailedRow) -> None:
        reason = stored_reason(row.stored_reason, row.error)
        # A mask hides every number, whatever it is: texts that differ in digits are one.
        template = self.masked(digits_alike(row.error))
        likeness = Likeness(reason, template, row.entity_type, row.op, row.replays, row.overtaken)
        number = self.buckets.add(likeness, row.id, row.failed_at)
        self.stored.setdefault(number, row.stored_reason)
        self.rows.append(
            PlannedRow(row.id, row.attempts, row.replays, row.updated_us, row.error_md5, number)
        )

    @property
    def truncated(self) -> bool:
        """Whether there may be more rows than were read."""
        return len(self.rows) >= MOST_READ


class _Cause(NamedTuple):
    """What a bucket shares with others.

    Attributes:
        stored: the reason as stored.
        last: when it last failed any row, aware UTC.
        unknown: why that may have been later, empty when it was not.
        proven: whether a row that failed for the same was replayed since then, and is done.
    """

    stored: str
    last: datetime
    unknown: str
    proven: bool


def _causes(
    connection: Connection, wanted: Wanted, found: _Found, buckets: tuple[Bucket, ...]
) -> list[_Cause]:
    """The cause of each bucket, in their order."""
    if not buckets:
        return []
    asked = wanted.asked
    latest = last_failures(buckets)
    unknown = "" if asked.is_dated else UNDATED
    if found.truncated:
        unknown = unknown or UNREAD
        ever = last_failure(connection, asked)
        latest = {cause: max(last, ever or last) for cause, last in latest.items()}
    since = min(latest.values())
    proven = proofs(connection, asked.table, since=since, template=found.masked)
    causes = []
    for bucket in buckets:
        like, stored = bucket.likeness, found.stored[bucket.number]
        last = latest[bucket.cause]
        at = proven.get(Kind(like.entity_type, like.op, stored, like.template))
        causes.append(_Cause(stored, last, unknown, at is not None and at >= last))
    return causes


def _judged(connection: Connection, wanted: Wanted, bucket: Bucket, cause: _Cause) -> PlannedBucket:
    asked = wanted.asked
    kind = {"entity_type": bucket.likeness.entity_type, "op": bucket.likeness.op}
    known = Circumstances(
        passed=passed(connection, asked, since=bucket.first, **kind),
        active=_active(connection, wanted, cause),
        unknown=cause.unknown,
        proven=cause.proven,
    )
    decided = strategy(bucket, known)
    if wanted.reason and bucket.likeness.reason != wanted.reason:
        decided = replace(decided, offer=Offer.NOTHING, why=f"{decided.why} Not asked for.")
    return PlannedBucket.of(bucket, decided)


def _active(connection: Connection, wanted: Wanted, cause: _Cause) -> str:
    """What says that the cause is still there, empty when nothing does."""
    quiet = timedelta(seconds=wanted.quiet_s)
    ago = datetime.now(UTC) - cause.last
    if wanted.asked.is_dated and ago < quiet:
        return f"a row failed {max(0, ago.total_seconds()):.0f} s ago"
    if cause.stored and wanted.quiet_s > 0:
        retried = waiting(connection, wanted.asked, stored=cause.stored, within_s=wanted.quiet_s)
        if retried:
            return f"{retried} waiting rows failed so within {wanted.quiet_s:.0f} s"
    return ""


def _chosen(
    rows: list[PlannedRow], buckets: tuple[PlannedBucket, ...], wanted: Wanted
) -> tuple[PlannedRow, ...]:
    """Rows of buckets that are offered, oldest event first; one row of those that need proof."""
    offers: Mapping[int, Offer] = {bucket.number: Offer(bucket.offer) for bucket in buckets}
    left = {n: wanted.most if o is Offer.ALL else 1 for n, o in offers.items()}
    chosen: list[PlannedRow] = []
    for row in rows:
        if len(chosen) >= wanted.most:
            break
        if offers[row.bucket] is not Offer.NOTHING and left[row.bucket] > 0:
            left[row.bucket] -= 1
            chosen.append(row)
    return tuple(chosen)
