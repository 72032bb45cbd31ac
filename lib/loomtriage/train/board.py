"""Board: who took which rounds, in a file that is only ever added to?

One JSON object a line. Each carries the SHA-256 of the line before it and of itself, so that a
line that is changed, moved or taken away is found, and named, at the next look. A round is on the
board from its promise on: what was opened and never closed shows, and does not count.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO

from loomtriage.drills.record import canonical
from loomtriage.errors import BundleDamaged, UsageError
from loomtriage.model.window import iso, parse_instant
from loomtriage.report import loose
from loomtriage.train.truth import check_promise

FILE = "board.jsonl"
FIRST = "0" * 64
GRACE = timedelta(minutes=15)
"""How much longer than its limit a round may take to start a lab and to give it back."""


class Kind(StrEnum):
    """What a line says of a round: promised, and then one of the others."""

    OPENED = "opened"
    SCORED = "scored"
    ABANDONED = "abandoned"


CLOSING = (Kind.SCORED, Kind.ABANDONED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line, its chain checked.

    Attributes:
        n: number of the line, from 1.
        kind: what it says.
        round: random id of the round.
        at: when it was written, aware UTC.
        content: all of it.
    """

    n: int
    kind: Kind
    round: str
    at: datetime
    content: Mapping[str, object]


def add(folder: Path, kind: Kind, round_id: str, **content: object) -> None:
    """Add a line, durable when this returns; two writers wait for each other.

    Raises:
        BundleDamaged: the board was edited; nothing is added to it.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _opened(folder / FILE) as file:
        lines = _checked(file.read().splitlines(), folder.name)
        last = str(lines[-1].content["sha256"]) if lines else FIRST
        body: dict[str, object] = {
            "n": len(lines) + 1,
            "prev": last,
            "kind": kind.value,
            "round": round_id,
            "at": iso(datetime.now(UTC)),
            **content,
        }
        line = canonical({**body, "sha256": _digest(body)})
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> tuple[Entry, ...]:
    """All lines, their chain and every promise checked; empty where there is no board yet.

    Raises:
        BundleDamaged: names the line and the round that were changed, or the promise not kept.
    """
    path = folder / FILE
    if not path.is_file():
        return ()
    entries = _checked(path.read_bytes().splitlines(), folder.name)
    commits = {one.round: str(one.content.get("commit")) for one in entries if _is(one, "opened")}
    for one in entries:
        if one.kind in CLOSING and one.content.get("nonce"):
            check_promise(
                one.round,
                loose.mapping(one.content.get("truth")),
                nonce=str(one.content["nonce"]),
                commit=commits.get(one.round, ""),
            )
    return entries


def left_open(entries: tuple[Entry, ...], *, now: datetime) -> tuple[Entry, ...]:
    """Rounds that were promised, never closed, and cannot be running any more."""
    closed = {one.round for one in entries if one.kind in CLOSING}
    return tuple(
        one
        for one in entries
        if one.kind is Kind.OPENED
        and one.round not in closed
        and now > one.at + timedelta(seconds=_limit(one)) + GRACE
    )


def _limit(entry: Entry) -> float:
    value = entry.content.get("limit_s")
    return float(value) if isinstance(value, int | float) else 0.0


def _is(entry: Entry, kind: str) -> bool:
    return entry.kind.value == kind


def _opened(path: Path) -> IO[bytes]:
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644), "r+b")
    fcntl.flock(file.fileno(), fcntl.LOCK_EX)
    return file


def _checked(lines: list[bytes], board: str) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    last = FIRST
    for n, line in enumerate(lines, start=1):
        try:
            content = dict(json.loads(line))
            told, body = str(content["sha256"]), {k: v for k, v in content.items() if k != "sha256"}
            entry = Entry(
                n=n,
                kind=Kind(str(content["kind"])),
                round=str(content["round"]),
                at=parse_instant(str(content["at"])),
                content=content,
            )
        except (ValueError, TypeError, KeyError, RecursionError, UsageError):
            raise _edited(board, n, "is no entry") from None
        name = f"(round {entry.round[:40]})"
        if line != canonical(content) or told != _digest(body):
            raise _edited(board, n, f"{name} was changed after it was written")
        if content.get("prev") != last or content.get("n") != n:
            raise _edited(board, n, f"{name} does not follow the line before it")
        last = told
        entries.append(entry)
    return tuple(entries)


def _digest(body: Mapping[str, object]) -> str:
    return hashlib.sha256(canonical(body)).hexdigest()


def _edited(board: str, n: int, what: str) -> BundleDamaged:
    return BundleDamaged(
        f"{board}/{FILE} line {n} {what}.",
        hint="The board is only ever added to; restore it from a copy, or begin another folder.",
    )
