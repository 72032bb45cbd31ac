"""Fault journal: what was about to be done to the lab, written and synced before it is done.

One line per step in `<home>/journals/<UTC>-<random>.jsonl`; the name does not tell the drill.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from loomtriage.drills.record import (
    ACTING,
    Contents,
    Detail,
    Point,
    Position,
    Record,
    Step,
    canonical,
    parse,
    parse_point,
)
from loomtriage.errors import JournalFailed
from loomtriage.model.window import iso

Done = TypeVar("Done")
KILL_AT = "LOOMTRIAGE_KILL_AT"


class Journal:
    """One drill's fault journal, opened for writing at its first line."""

    def __init__(
        self,
        home: Path,
        *,
        lab_id: str,
        on_point: Callable[[Point], None] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.home, self.lab_id = home, lab_id
        stamp = now().strftime("%Y%m%dT%H%M%SZ")
        self.path = home / "journals" / f"{stamp}-{secrets.token_hex(6)}.jsonl"
        self._on_point, self._now = on_point, now
        self._last: Record | None = None
        self._good_bytes, self._broken = 0, False

    @classmethod
    def resume(cls, path: Path, contents: Contents) -> Journal:
        """Go on with an open journal that has at least one good line; an unfinished line is cut.

        Where it cannot be cut, every later line is refused, so that none comes behind a fragment.
        """
        last = contents.records[-1]
        journal = cls(path.parent.parent, lab_id=last.lab_id)
        journal.path, journal._last = path, last
        journal._good_bytes = contents.good_bytes
        try:
            with path.open("r+b") as file:
                file.truncate(contents.good_bytes)
                os.fsync(file.fileno())
        except OSError:
            journal._broken = True
        return journal

    def point(self, step: Step, position: Position) -> None:
        """Tell the test seam where we are."""
        if self._on_point is not None:
            self._on_point(Point(step, position))

    def write(self, step: Step, **detail: object) -> None:
        """Record a step; durable when this returns.

        Raises:
            JournalFailed: it could not be made durable; no fragment is left behind.
        """
        self.point(step, Position.BEFORE)
        self._append(step, detail)
        self.point(step, Position.AFTER)

    def act(
        self, step: Step, action: Callable[[], Done], tell: Callable[[Done], Detail] | None = None
    ) -> Done:
        """Do the action, then record the step with what `tell` says of it.

        Raises:
            JournalFailed: it could not be made durable; the action has been done.
        """
        self.point(step, Position.BEFORE)
        done = action()
        if step in ACTING:
            self.point(step, Position.MID)
        self._append(step, tell(done) if tell else {})
        self.point(step, Position.AFTER)
        return done

    def _append(self, step: Step, detail: Detail) -> None:
        record = Record(
            seq=self._last.seq + 1 if self._last else 1,
            at=iso(self._now()),
            step=step,
            lab_id=self.lab_id,
            detail=json.loads(canonical(detail)),
            prev=self._last.sha if self._last else "",
        )
        if self._broken:
            raise self._failed(step, "an earlier line could not be cut back")
        try:
            self._put(record.line())
        except OSError as error:
            raise self._failed(step, error.strerror or type(error).__name__) from error
        self._last = record

    def _put(self, line: bytes) -> None:
        first = self._good_bytes == 0
        if first:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CLOEXEC | (os.O_CREAT if first else 0)
        file = os.open(self.path, flags, 0o600)
        try:
            os.lseek(file, self._good_bytes, os.SEEK_SET)
            self._put_durably(file, line)
        finally:
            os.close(file)
        if first:
            sync_folder(self.path.parent)
            sync_folder(self.path.parent.parent)
        self._good_bytes += len(line)

    def _put_durably(self, file: int, line: bytes) -> None:
        try:
            rest = line
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        except OSError:
            self._broken = True
            os.ftruncate(file, self._good_bytes)
            os.fsync(file)
            self._broken = False
            raise

    def _failed(self, step: Step, why: str) -> JournalFailed:
        return JournalFailed(
            f"Step {step} could not be written to the fault journal {self.path.name}: {why}.",
            hint="Make room on that disk, then run `loomtriage recover`.",
        )


def open_journal(
    home: Path, *, lab_id: str, on_point: Callable[[Point], None] | None = None
) -> Journal:
    """A new fault journal for one drill on that lab; its file appears with its first line."""
    return Journal(home, lab_id=lab_id, on_point=on_point)


def read(path: Path) -> Contents:
    """Read one journal."""
    return parse(path.read_bytes())


def journals(home: Path) -> tuple[Path, ...]:
    """All fault journals below that home, oldest first."""
    return tuple(sorted((home / "journals").glob("*.jsonl")))


def sync_folder(folder: Path) -> None:
    """Make names in that folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def kill_at_from_env() -> Callable[[Point], None] | None:
    """The test seam `LOOMTRIAGE_KILL_AT=applied:mid`: the runner kills itself at that point.

    Raises:
        UsageError: there is no such point.
    """
    text = os.environ.get(KILL_AT, "")
    if not text:
        return None
    chosen = parse_point(text)

    def die(point: Point) -> None:
        if point == chosen:
            os.kill(os.getpid(), signal.SIGKILL)

    return die
