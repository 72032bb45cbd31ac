"""Who holds a lab's folder: one holder at a time, however it ended."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from loomtriage.errors import Refused


def lock_file(root: Path) -> Path:
    """The file whose lock says that a lab is up; it also marks the folder as a lab's."""
    return root / "lab.lock"


def claim(root: Path) -> int:
    """Take the lock of a folder; the open file that holds it, to be passed on or closed.

    Raises:
        Refused: a lab is up there, or just starting; names its process.
    """
    lock = os.open(lock_file(root), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + 0.5  # somebody who asks for the holder has it for a moment
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            holder = signer(lock)
            os.close(lock)
            raise Refused(
                f"A lab is up at {root} already (process {holder}).",
                hint="Use it, take it down (loomtriage lab down), or start one under another name.",
            ) from None
        sign(lock, os.getpid())
        return lock


def sign(lock: int, pid: int) -> None:
    """Write into the lock's file who holds it now."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{pid}\n".encode(), 0)


def signer(lock: int) -> int:
    """Process id that last signed the lock's file; 0 when none did."""
    return int(os.pread(lock, 32, 0).strip() or 0)


def lock_holder(root: Path) -> int | None:
    """Process id that holds the lock of a folder, None when nobody does."""
    try:
        with lock_file(root).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return signer(file.fileno())
            return None
    except FileNotFoundError:
        return None
