"""Plan file: what does a plan say on disk, and is it still the plan that somebody looked at?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from loomtriage.closeout.buckets import Bucket
from loomtriage.closeout.strategy import Strategy
from loomtriage.closeout.target import Target
from loomtriage.errors import BundleDamaged, Refused, UsageError
from loomtriage.model.window import iso, parse_instant

SCHEMA = 1
LIFE = timedelta(minutes=15)
"""A plan speaks of rows as they were; when it has not begun after this time, look again."""
AHEAD = timedelta(seconds=5)
"""So far two clocks may differ; a plan of the future would live longer than any may."""
SHOWN_DIGITS = 12


class PlannedRow(NamedTuple):
    """One row of a plan and the state in which it was seen."""

    id: str
    attempts: int
    replays: int
    updated_us: int
    error_md5: str
    bucket: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBucket:
    """One bucket as a plan tells it; times are ISO 8601 UTC."""

    number: int
    reason: str
    template: str
    entity_type: str
    op: str
    replays: int
    overtaken: bool
    n: int
    first: str
    last: str
    examples: tuple[str, ...]
    action: str
    offer: str
    why: str
    first_do: str
    needs_note: bool

    @classmethod
    def of(cls, bucket: Bucket, decided: Strategy) -> PlannedBucket:
        """The bucket with its strategy."""
        return cls(
            number=bucket.number,
            **bucket.likeness._asdict(),
            n=bucket.n,
            first=iso(bucket.first.astimezone(UTC)),
            last=iso(bucket.last.astimezone(UTC)),
            examples=tuple(bucket.examples),
            action=str(decided.action),
            offer=str(decided.offer),
            why=decided.why,
            first_do=decided.first,
            needs_note=decided.needs_note,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An exact set of rows to replay, and why.

    Attributes:
        made_at: when (aware UTC); `LIFE` later it is refused, unless it has begun.
        made_by: account that made it.
        target: the database that it speaks of.
        projection, table: whose rows.
        quiet_s: seconds without a failure after which a cause was taken to be over.
        counts: rows of the table by status.
        buckets: all failed rows by case, the largest first.
        rows: those that may be replayed, in the order of their events.
        index: SQL of an index that would help, empty where none would.
        truncated: whether more rows failed than a plan reads.
    """

    made_at: datetime
    made_by: str
    target: Target
    projection: str
    table: str
    quiet_s: float
    counts: Mapping[str, int]
    buckets: tuple[PlannedBucket, ...]
    rows: tuple[PlannedRow, ...]
    index: str = ""
    truncated: bool = False

    def as_json(self) -> dict[str, object]:
        """The content of the file, its digest left out."""
        return {
            "schema": SCHEMA,
            "made_at": iso(self.made_at),
            "made_by": self.made_by,
            "target": self.target.as_json(),
            "projection": self.projection,
            "table": self.table,
            "quiet_s": self.quiet_s,
            "counts": dict(self.counts),
            "buckets": [asdict(bucket) for bucket in self.buckets],
            "row_columns": list(PlannedRow._fields),
            "rows": self.rows,
            "index": self.index,
            "truncated": self.truncated,
        }

    def digest(self) -> str:
        """SHA-256 over everything that the plan says, as hex."""
        body = msgspec.json.encode(self.as_json(), order="deterministic")
        return hashlib.sha256(body).hexdigest()

    @property
    def needs_note(self) -> bool:
        """Whether one of its rows failed for a cause that only a fix takes away."""
        planned = {row.bucket for row in self.rows}
        return any(bucket.needs_note for bucket in self.buckets if bucket.number in planned)


def write_plan(plan: Plan, path: Path) -> str:
    """Write a plan, one row a line, readable by its owner only; its digest.

    Raises:
        UsageError: there is a file already, or the folder cannot be written to.
    """
    content = plan.as_json()
    digest = plan.digest()
    rows = ",\n".join(msgspec.json.encode(row).decode() for row in plan.rows)
    head = json.dumps({**content, "sha256": digest, "rows": []}, indent=1)
    text = head.replace('"rows": []', f'"rows": [\n{rows}\n ]', 1) + "\n"
    try:
        with path.open("x", encoding="utf-8") as file:
            path.chmod(0o600)
            file.write(text)
    except OSError as error:
        raise UsageError(
            f"Cannot write the plan {path}: {error.strerror}.", hint="Give another --out."
        ) from None
    return digest


def read_plan(path: Path) -> Plan:
    """A plan back from its file.

    Raises:
        UsageError: there is no such file.
        BundleDamaged: it is no plan, or was changed since it was written.
    """
    try:
        content = msgspec.json.decode(path.read_bytes())
        plan = _plan(content)
        told = str(content["sha256"])
    except OSError:
        raise UsageError(
            f"There is no plan {path}.", hint="Make one: loomtriage close-out plan."
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError, UsageError):
        raise BundleDamaged(
            f"{path} is no plan of this version.", hint="Make one: loomtriage close-out plan."
        ) from None
    if plan.digest() != told:
        raise BundleDamaged(
            f"{path} was changed since it was made.",
            hint="A plan is not edited; make another: loomtriage close-out plan.",
        )
    return plan


def refuse_old(plan: Plan, *, now: datetime) -> None:
    """Refuse a plan whose time to begin is over, or has not come.

    Raises:
        Refused: so it is.
    """
    age = now - plan.made_at
    if age < -AHEAD:
        raise Refused(
            f"The plan was made {-age.total_seconds():.0f} s from now, by this machine's clock.",
            hint="Set the clock, then make a new plan: loomtriage close-out plan.",
        )
    if age > LIFE:
        raise Refused(
            f"The plan is {age.total_seconds() / 60:.0f} min old; it lived for "
            f"{LIFE.total_seconds() / 60:.0f} min.",
            hint="Rows change. Make a new plan: loomtriage close-out plan.",
        )


def _plan(content: Mapping[str, object]) -> Plan:
    if content["schema"] != SCHEMA or content["row_columns"] != list(PlannedRow._fields):
        raise ValueError("another schema")
    raw: dict[str, object] = {
        name: content[name]
        for name in ("made_by", "projection", "table", "quiet_s", "counts", "index", "truncated")
    }
    raw["made_at"] = parse_instant(str(content["made_at"]))
    raw["target"] = Target(**content["target"])  # type: ignore[arg-type]
    raw["buckets"] = tuple(
        PlannedBucket(**{**bucket, "examples": tuple(bucket["examples"])})
        for bucket in content["buckets"]  # type: ignore[attr-defined]
    )
    raw["rows"] = tuple(PlannedRow(*row) for row in content["rows"])  # type: ignore[attr-defined]
    return Plan(**raw)  # type: ignore[arg-type]
