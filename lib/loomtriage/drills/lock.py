"""Drill lock: who performs a drill on this lab right now?

The kernel's file lock decides, since it ends with its holder however that dies. The file's text
only names the holder, by process id and start time, because an id alone is used again.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loomtriage.errors import Refused
from loomtriage.lab.alive import is_same, started
from loomtriage.model.window import iso


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds the lock: process id, the start time of that process, and since when (ISO)."""

    pid: int
    born: str
    since: str

    @property
    def is_alive(self) -> bool:
        """Whether that very process still runs."""
        return is_same(self.pid, self.born)


class LabBusy(Refused):
    """Somebody else holds the lab's drill lock."""


@contextmanager
def drill_lock(home: Path, lab_id: str) -> Iterator[None]:
    """Hold the lab's drill lock.

    Raises:
        LabBusy: somebody else holds it, whom the message names.
        Refused: it cannot be opened.
    """
    path = _path(home, lab_id)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(
            f"The drill lock of this lab cannot be opened: {error.strerror}.",
            hint="Make room on that disk, and look whose the folder `locks` is.",
        ) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabBusy(
                f"The drill lock of this lab is held by {_name(_read(file))}.",
                hint="One drill at a time: wait until it ends.",
            ) from None
        _sign(file, _text(os.getpid()))
        try:
            yield
        finally:
            _sign(file, b"")
    finally:
        os.close(file)


def holder(home: Path, lab_id: str) -> Holder | None:
    """Who holds the lab's drill lock now, None when it is free."""
    try:
        file = os.open(_path(home, lab_id), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(file) or Holder(pid=0, born="", since="")
    else:
        return None
    finally:
        os.close(file)


def _sign(file: int, text: bytes) -> None:
    # The lock holds without its holder's name, and taking a fault back needs no room on the disk.
    with suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, text, 0)


def _path(home: Path, lab_id: str) -> Path:
    return home / "locks" / f"{lab_id}.lock"


def _text(pid: int) -> bytes:
    value = {"pid": pid, "born": started(pid), "since": iso(datetime.now(UTC))}
    return json.dumps(value).encode()


def _read(file: int) -> Holder | None:
    try:
        value = json.loads(os.pread(file, 1000, 0))
        return Holder(pid=int(value["pid"]), born=str(value["born"]), since=str(value["since"]))
    except (ValueError, KeyError, TypeError):
        return None


def _name(held: Holder | None) -> str:
    if held is None:
        return "a process that has not written its name yet"
    if not held.is_alive:
        return f"a child of process {held.pid}, which has ended"
    return f"process {held.pid} since {held.since}"
