"""Leftovers: what did a run that was killed leave on disk, and is it old enough to go?"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

STAGING, STAGING_OLD_S = ".*.partial", 3600.0
ROOM, ROOM_OLD_S = "loomtriage-k-*", 24 * 3600.0
"""Folders of kernels; a long run keeps its own without touching it."""


def sweep_leftovers(out: Path) -> tuple[str, ...]:
    """Take away what dead runs left in `out` and in the system's temporary folder; their names."""
    found = sweep(out, STAGING, old_s=STAGING_OLD_S)
    try:
        rooms = Path(tempfile.gettempdir())
    except FileNotFoundError:  # none can be written to, as on a full disk; the drill says that
        return found
    return (*found, *sweep(rooms, ROOM, old_s=ROOM_OLD_S))


def sweep(
    folder: Path, pattern: str, *, old_s: float, now_s: float | None = None
) -> tuple[str, ...]:
    """Take away this user's folders of that name that are older than that; their names.

    A younger one may belong to a run that is going on and stays.

    Args:
        folder: where to look; it need not exist.
        pattern: shell pattern of the folders' names.
        old_s: age in seconds from which on they go.
        now_s: Unix seconds, the present by default.
    """
    before = (time.time() if now_s is None else now_s) - old_s
    found = [path for path in folder.glob(pattern) if _is_old(path, before)]
    for path in found:
        shutil.rmtree(path, ignore_errors=True)
    return tuple(path.name for path in found)


def _is_old(path: Path, before: float) -> bool:
    try:
        stat = path.lstat()
    except OSError:
        return False
    is_folder = path.is_dir() and not path.is_symlink()
    return is_folder and stat.st_uid == os.getuid() and stat.st_mtime < before
