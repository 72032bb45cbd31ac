"""Record: how is one line of a fault journal spelled, and what do a journal's bytes say?

Each line carries its number and a hash over its content and the line before, and is read only in
its one canonical spelling, so that a changed bit anywhere is seen. A cut at the end loses that
last line and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from loomtriage.errors import UsageError

SCHEMA = 1
Detail = Mapping[str, object]


class Step(StrEnum):
    """The steps of a drill, in their order."""

    LOCK = "lock"
    PREFLIGHT = "preflight"
    BASELINE = "baseline"
    INTENT = "intent"
    APPLIED = "applied"
    VERIFIED = "verified"
    OBSERVE = "observe"
    REVERTING = "reverting"
    REVERTED = "reverted"
    RESTORED = "restored"
    CLOSE = "close"


class Position(StrEnum):
    """Where in a step; `mid` is done but not yet written."""

    BEFORE = "before"
    MID = "mid"
    AFTER = "after"


ACTING = (Step.APPLIED, Step.REVERTED)
"""Steps that change the lab: only they have a middle."""


@dataclass(frozen=True, slots=True)
class Point:
    """One place where a runner may die."""

    step: Step
    position: Position

    def __str__(self) -> str:
        return f"{self.step}:{self.position}"


POINTS: tuple[Point, ...] = tuple(
    Point(step, position)
    for step in Step
    for position in Position
    if position is not Position.MID or step in ACTING
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line.

    Attributes:
        seq: number of the line, from 1.
        at: when it was written, aware UTC with milliseconds as ISO text.
        step: which step it records.
        lab_id: the lab that it speaks of.
        detail: what the step came to.
        prev: hash of the line before, empty in the first.
    """

    seq: int
    at: str
    step: Step
    lab_id: str
    detail: Detail = field(default_factory=dict)
    prev: str = ""

    def line(self) -> bytes:
        """The one spelling of this record."""
        body: dict[str, object] = {
            "at": self.at,
            "detail": dict(self.detail),
            "lab_id": self.lab_id,
            "prev": self.prev,
            "schema": SCHEMA,
            "seq": self.seq,
            "step": self.step.value,
        }
        body["sha"] = _hash(canonical(body))
        return canonical(body) + b"\n"

    @property
    def sha(self) -> str:
        """The hash that the next line repeats."""
        return str(json.loads(self.line())["sha"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a journal says.

    Attributes:
        records: the good lines from the start.
        good_bytes: where the last good line ends.
        torn: whether an unfinished line follows, which is ignored.
        damage: why the rest cannot be trusted, empty when it can.
    """

    records: tuple[Record, ...]
    good_bytes: int
    torn: bool = False
    damage: str = ""

    @property
    def is_open(self) -> bool:
        """Whether a drill began here and nobody finished it.

        Without a whole line none began: the first is durable before anything is touched.
        """
        if not self.records:
            return bool(self.damage)
        return self.records[-1].step is not Step.CLOSE or self.torn or bool(self.damage)

    def last(self, step: Step) -> Record | None:
        """The newest record of a step."""
        return next((record for record in reversed(self.records) if record.step is step), None)


def parse(data: bytes) -> Contents:
    """Read a journal's bytes; never raises, never skips a line."""
    records: list[Record] = []
    good = 0
    while good < len(data):
        end = data.find(b"\n", good)
        if end < 0:
            return Contents(records=tuple(records), good_bytes=good, torn=True)
        before = records[-1] if records else None
        record = _read_line(data[good : end + 1], before=before)
        if isinstance(record, str):
            return Contents(
                records=tuple(records), good_bytes=good, damage=f"{record} at byte {good}"
            )
        records.append(record)
        good = end + 1
    return Contents(records=tuple(records), good_bytes=good)


def _read_line(line: bytes, *, before: Record | None) -> Record | str:
    try:
        body = json.loads(line)
        newer = isinstance(body, dict) and body.get("schema") not in (None, SCHEMA)
        if newer and _hash(canonical({k: v for k, v in body.items() if k != "sha"})) == body.get(
            "sha"
        ):
            return f"a line of journal schema {body['schema']}"
        record = Record(
            seq=body["seq"],
            at=body["at"],
            step=Step(body["step"]),
            lab_id=body["lab_id"],
            detail=body["detail"],
            prev=body["prev"],
        )
        same = record.line() == line
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "a damaged line"
    if not same:
        return "a damaged line"
    if before is None:
        follows = record.seq == 1 and record.prev == "" and record.step is Step.LOCK
    else:
        follows = (
            record.seq == before.seq + 1
            and record.prev == before.sha
            and record.lab_id == before.lab_id
            and before.step is not Step.CLOSE
        )
    return record if follows else "a line that does not follow the one before"


def parse_point(text: str) -> Point:
    """Read `applied:mid`.

    Raises:
        UsageError: there is no such point.
    """
    for point in POINTS:
        if str(point) == text:
            return point
    raise UsageError(
        f"There is no journal point {text[:40]!r}.",
        hint="Write STEP:before, STEP:after, applied:mid or reverted:mid.",
    )


def canonical(value: object) -> bytes:
    """The one JSON spelling of a value.

    Raises:
        ValueError, TypeError: JSON cannot say it.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode()


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
