"""Board: who took which rounds, in a file that is only ever added to?

One JSON object a line. Each carries the SHA-256 of the line before it and of itself, and a head
beside the file says where it ends, so that a line that is changed, moved, taken away or cut off is
found, and named, at the next look. A round is on the board from its promise on: what was opened
and never closed shows, and does not count.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from loomtriage.drills.record import canonical
from loomtriage.errors import BundleDamaged, TriageError, UsageError
from loomtriage.model.window import iso, parse_instant
from loomtriage.report import loose
from loomtriage.train import head as heads
from loomtriage.train.head import FIRST, Head
from loomtriage.train.truth import check_promise

FILE = "board.jsonl"
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
        sha256: its own, which the next line repeats.
        content: all of it.
    """

    n: int
    kind: Kind
    round: str
    at: datetime
    sha256: str
    content: Mapping[str, object]


def unheard(_line: str) -> None:
    """Nobody listens."""


def add(folder: Path, kind: Kind, round_id: str, **content: object) -> None:
    """Add a line, durable when this returns; two writers wait for each other.

    Raises:
        BundleDamaged: the board was edited; nothing is added to it.
        TriageError: it cannot be written; it is as before.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder, os.O_RDWR | os.O_CREAT) as file:
            _add(file, folder, {"kind": kind.value, "round": round_id, **content})
    except OSError as error:
        raise TriageError(
            f"{folder.name}/{FILE} cannot be written: {error.strerror}.",
            hint="Make room or get the right to write there, or give another folder.",
        ) from error


def read(folder: Path, *, say: Callable[[str], None] = unheard) -> tuple[Entry, ...]:
    """All lines, their chain, their end and every promise checked; empty where there is no board.

    Args:
        folder: the team's.
        say: told what a killed writer left, which is accepted.

    Raises:
        BundleDamaged: names the line and the round that were changed, or the promise not kept.
    """
    if (folder / FILE).is_file():
        with _locked(folder, os.O_RDONLY) as file:
            held = _held(_all(file), folder)
    else:
        held = _held(b"", folder)
    if held.left:
        say(held.left)
    promised = _promised(held.entries)
    for one in held.entries:
        nonce = one.content.get("nonce")
        if one.kind is Kind.SCORED and not nonce:
            raise _edited(
                folder.name,
                f"line {one.n} (round {one.round[:40]}) is scored without a nonce, so that its "
                "promise cannot be checked",
            )
        if one.kind in CLOSING and nonce:
            check_promise(
                one.round,
                loose.mapping(one.content.get("truth")),
                nonce=str(nonce),
                commit=promised.get(one.round, ""),
            )
    return held.entries


def check_kept(folder: Path, round_id: str, *, truth: Mapping[str, object], nonce: str) -> None:
    """Check a truth that is about to be told against the promise that stands on the board.

    Raises:
        BundleDamaged: it is not what was promised there, or nothing was.
    """
    check_promise(round_id, truth, nonce=nonce, commit=_promised(read(folder)).get(round_id, ""))


def _promised(entries: tuple[Entry, ...]) -> Mapping[str, str]:
    """What was promised by round; opening one again changes nothing."""
    opened = [one for one in entries if one.kind is Kind.OPENED]
    return {one.round: str(one.content.get("commit")) for one in reversed(opened)}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What a board holds: its lines, how many bytes they are, and what a killed writer left."""

    entries: tuple[Entry, ...]
    size: int
    left: str

    @property
    def head(self) -> Head:
        """Where it ends."""
        last = self.entries[-1:]
        return Head(n=len(self.entries), sha256=last[0].sha256) if last else Head()


@contextmanager
def _locked(folder: Path, flags: int) -> Iterator[int]:
    """The board's file, to oneself for writing, with other readers for reading."""
    file = os.open(folder / FILE, flags | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX if flags & os.O_RDWR else fcntl.LOCK_SH)
        yield file
    finally:
        os.close(file)


def _all(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def _add(file: int, folder: Path, content: Mapping[str, object]) -> None:
    held = _held(_all(file), folder)
    # The head is written before a second line can follow, and before the first: so the only
    # thing that a killed writer leaves is one line more than the head knows, or half a line.
    heads.write_head(folder, held.head)
    os.ftruncate(file, held.size)
    body: dict[str, object] = {
        "n": held.head.n + 1,
        "prev": held.head.sha256,
        "at": iso(datetime.now(UTC)),
        **content,
    }
    told = _digest(body)
    head = Head(n=held.head.n + 1, sha256=told)
    line = canonical({**body, "sha256": told}) + b"\n"
    try:
        rest = line
        while rest:
            rest = rest[os.pwrite(file, rest, held.size + len(line) - len(rest)) :]
        os.fsync(file)
        heads.write_head(folder, head)
    except OSError:
        if heads.read_head(folder) != head:
            os.ftruncate(file, held.size)
        raise


def _held(data: bytes, folder: Path) -> _Held:
    """What these bytes hold, their chain and their end checked."""
    board, head = folder.name, heads.read_head(folder)
    whole, newline, torn = data.rpartition(b"\n")
    entries = _checked(whole.split(b"\n") if newline else [], board)
    n = len(entries)
    if head is None:
        if data:
            raise _edited(board, f"has {n} lines, and {heads.FILE}, which ends it, is gone")
        head = Head()
    if n < head.n:
        raise _edited(board, f"has {n} of {head.n} lines: what came after line {n} was cut off")
    last = entries[head.n - 1].sha256 if head.n else FIRST
    if last != head.sha256:
        raise _edited(board, f"line {head.n} is not the one that {heads.FILE} ends with")
    if n - head.n + bool(torn) > 1:
        raise _edited(board, f"goes on after line {head.n}, where {heads.FILE} ends it")
    left = ""
    if n > head.n:
        left = f"{board}/{FILE}: whoever wrote line {n} was killed over it; it is whole and counts."
    elif torn:
        left = f"{board}/{FILE}: whoever wrote line {n + 1} was killed over it; it does not count."
    return _Held(entries=entries, size=len(whole) + len(newline), left=left)


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
                sha256=told,
                content=content,
            )
        except (ValueError, TypeError, KeyError, RecursionError, UsageError):
            raise _edited(board, f"line {n} is no entry") from None
        name = f"line {n} (round {entry.round[:40]})"
        if line != canonical(content) or told != _digest(body):
            raise _edited(board, f"{name} was changed after it was written")
        if content.get("prev") != last or content.get("n") != n:
            raise _edited(board, f"{name} does not follow the line before it")
        last = told
        entries.append(entry)
    return tuple(entries)


def _digest(body: Mapping[str, object]) -> str:
    return hashlib.sha256(canonical(body)).hexdigest()


def _edited(board: str, what: str) -> BundleDamaged:
    return BundleDamaged(f"{board}/{FILE} {what}.", hint=heads.RESTORE)
