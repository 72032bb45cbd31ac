"""Which log files are meant by a path, a folder, a pattern or `-`, and how is each read?"""

from __future__ import annotations

import os
import select
import sys
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from glob import glob, has_magic
from pathlib import Path

from loomtriage.sources.files import FileBytes, read_file

STDIN = "-"
STDIN_BUDGET_S = 5.0
MAX_STDIN_BYTES = 100 * 1024 * 1024
_ENDINGS = (".log", ".jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """A file (path `-`: standard input) and the name it goes by in lines and caveats."""

    path: Path
    name: str

    def read(self, *, max_bytes: int) -> FileBytes:
        """Its bytes; of a larger one the last `max_bytes`.

        Raises:
            OSError: it cannot be opened, is a symbolic link, or is no regular file.
        """
        if str(self.path) == STDIN:
            return read_stdin(sys.stdin.fileno()).last(max_bytes)
        return read_file(self.path, max_bytes=max_bytes)


def find_files(
    paths: str | Path | Iterable[Path], *, endings: tuple[str, ...] = _ENDINGS
) -> tuple[LogFile, ...]:
    """The files that are meant, by name; two of one name get a number.

    What exists under its literal name is that file, whatever characters are in it; of a folder
    those with one of the `endings`; only what is neither is a pattern.
    """
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(one) for one in paths]
    found: list[Path] = []
    for path in given:
        if str(path) == STDIN:
            found.append(path)
        elif _is_folder(path):
            found += _members(path, endings)
        elif _is_there(path) or not has_magic(str(path)):
            found.append(path)
        else:
            found += [Path(p) for p in sorted(glob(str(path)))]  # noqa: PTH207 any root, one pattern
    seen: dict[str, int] = {}
    files = []
    for path in dict.fromkeys(found):
        name = "stdin" if str(path) == STDIN else path.name
        seen[name] = seen.get(name, 0) + 1
        number = seen[name]
        files.append(LogFile(path=path, name=name if number == 1 else f"{name}#{number}"))
    return tuple(files)


def _members(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """A folder that cannot be listed stands for itself: reading it says why."""
    try:
        return [path for path in sorted(folder.iterdir()) if path.name.endswith(endings)]
    except OSError:
        return [folder]


def _is_folder(path: Path) -> bool:
    """What may not be looked at is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_there(path: Path) -> bool:
    """What may not be looked at is there: reading it says why it cannot be read."""
    try:
        return path.exists() or path.is_symlink()
    except OSError:
        return True


@cache
def read_stdin(descriptor: int) -> FileBytes:
    """What came in at standard input, read once: all stages of a case ask for the same bytes.

    The end of it is kept. It is waited for until it ends or the budget is spent, so that a
    stream that never ends cannot hold us.

    Raises:
        OSError: it cannot be read.
    """
    ends_at = time.monotonic() + STDIN_BUDGET_S
    kept: deque[bytes] = deque()
    size = held = 0
    head = b""
    while (left := ends_at - time.monotonic()) > 0:
        if not select.select([descriptor], [], [], left)[0]:
            break
        piece = os.read(descriptor, 1 << 20)
        if not piece:
            break
        head = (head + piece)[:4] if len(head) < 4 else head
        kept.append(piece)
        size, held = size + len(piece), held + len(piece)
        while held - len(kept[0]) >= MAX_STDIN_BYTES:
            held -= len(kept.popleft())
    return FileBytes(
        data=b"".join(kept)[-MAX_STDIN_BYTES:], size=size, head=head, modified_at=datetime.now(UTC)
    )
