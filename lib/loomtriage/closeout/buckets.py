"""Buckets: which failed rows are the same case, when did it begin, and when was it last seen?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

MOST_EXAMPLES = 3
MOST_BUCKETS = 200
OTHERS = "(further kinds of error)"
"""Error texts are endless; what comes after so many buckets is counted under one template."""

_EVER, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Likeness(NamedTuple):
    """What makes failed rows the same case.

    Attributes:
        reason: canonical, or as stored where the contract does not know it.
        template: the stored error with ids and numbers masked.
        entity_type, op: as stored.
        replays: how often the rows were replayed already.
        overtaken: whether a later event of the same entity was done, so that replaying a delete
            would take a living document away.
    """

    reason: str
    template: str
    entity_type: str
    op: str
    replays: int
    overtaken: bool


@dataclass(slots=True, kw_only=True)
class Bucket:
    """Failed rows that are the same case.

    Attributes:
        number: names the bucket inside one answer, from 1.
        n: rows.
        first, last: when its rows failed, aware UTC.
        examples: row ids, the first few.
    """

    number: int
    likeness: Likeness
    n: int = 0
    first: datetime = _NEVER
    last: datetime = _EVER
    examples: list[str] = field(default_factory=list)

    @property
    def cause(self) -> tuple[str, str]:
        """Reason and template: what buckets of one cause share."""
        return (self.likeness.reason, self.likeness.template)

    def add(self, row_id: str, failed_at: datetime) -> None:
        """Count one row."""
        self.n += 1
        self.first = min(self.first, failed_at)
        self.last = max(self.last, failed_at)
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(row_id)


class Buckets:
    """Failed rows as they come, one by one, in constant memory."""

    def __init__(self) -> None:
        self._by_likeness: dict[Likeness, Bucket] = {}

    def add(self, likeness: Likeness, row_id: str, failed_at: datetime) -> int:
        """Count one row; the number of its bucket."""
        bucket = self._by_likeness.get(likeness)
        if bucket is None:
            if len(self._by_likeness) >= MOST_BUCKETS:
                likeness = likeness._replace(template=OTHERS)
            number = len(self._by_likeness) + 1
            bucket = self._by_likeness.setdefault(
                likeness, Bucket(number=number, likeness=likeness)
            )
        bucket.add(row_id, failed_at)
        return bucket.number

    def found(self) -> tuple[Bucket, ...]:
        """All buckets, the largest first."""
        return tuple(sorted(self._by_likeness.values(), key=lambda b: (-b.n, b.number)))


def last_failures(buckets: Iterable[Bucket]) -> dict[tuple[str, str], datetime]:
    """When each cause, reason and template, last failed a row; rows replayed before included."""
    found: dict[tuple[str, str], datetime] = {}
    for bucket in buckets:
        found[bucket.cause] = max(bucket.last, found.get(bucket.cause, bucket.last))
    return found
