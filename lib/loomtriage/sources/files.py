"""Reading a named file and no other: by descriptor, no link followed, capped, never waiting."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBytes:
    """What was read.

    Attributes:
        data: the bytes; the end of the file when it is larger than the cap.
        size: of the whole file when it was opened, bytes.
        head: the file's first four bytes, where a byte order mark would stand.
        modified_at: last change (aware UTC).
    """

    data: bytes
    size: int
    head: bytes
    modified_at: datetime

    @property
    def cut(self) -> bool:
        """Whether the beginning was left out."""
        return len(self.data) < self.size

    def last(self, max_bytes: int) -> FileBytes:
        """The same with the last `max_bytes` only."""
        return self if len(self.data) <= max_bytes else replace(self, data=self.data[-max_bytes:])


def read_file(path: Path, *, max_bytes: int) -> FileBytes:
    """Read a regular file; of a larger one its last `max_bytes`.

    A name is taken literally: brackets and stars in it are no pattern. A pipe or device is
    refused without waiting for it.

    Raises:
        OSError: it cannot be opened, is a symbolic link, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path.name} is no regular file")
        head = os.pread(descriptor, 4, 0)
        file.seek(max(0, status.st_size - max_bytes))
        # A growing file is read up to the size it had, so that it cannot hold us.
        data = _read_exactly(descriptor, min(status.st_size, max_bytes))
    return FileBytes(
        data=data,
        size=status.st_size,
        head=head,
        modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
    )


def _read_exactly(descriptor: int, size: int) -> bytes:
    chunks, left = [], size
    while left and (chunk := os.read(descriptor, min(left, 1 << 20))):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)
