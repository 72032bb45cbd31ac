"""Alive: does the process that directs a round still run?"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loomtriage.settings import settings


def mark_of(name: str) -> Path:
    """The file that the director of a round on this machine holds locked."""
    return settings().home_dir() / "rounds" / name


@contextmanager
def alive(name: str) -> Iterator[None]:
    """Hold a file locked while the director lives; the kernel lets go of it when it is killed."""
    path = mark_of(name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_dead(name: str) -> bool:
    """Whether a director of this machine held that round and is gone."""
    try:
        handle = os.open(mark_of(name), os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
