"""How is a log file larger than memory read in parts, by as many processes as there are cores?

A file is opened once, by descriptor; the parts read from that descriptor, so that all of them see
the file that was named, whatever happens to its name meanwhile.
"""

from __future__ import annotations

import multiprocessing
import os
import stat
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from loomtriage.errors import TriageError

HEAD_BYTES = 65536
BLOCK_BYTES = 1 << 20
COUNT_BYTES = 1 << 18
"""Newlines are counted per so many bytes; a block is a whole number of them."""
PART_FROM_BYTES = 32 * 1024 * 1024
"""Smaller parts are not worth a process."""
PATIENCE_S, PATIENCE = 5.0, 4.0
"""How long other processes may take beyond this one: seconds, and multiples of its own time."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLog:
    """An open file.

    Attributes:
        descriptor: valid inside the `with` only, and in processes forked there.
        size: when it was opened, bytes; what is appended later is not read.
        head: its first bytes, `HEAD_BYTES` at most.
        identity: device, inode, size and time of the last change in nanoseconds.
    """

    descriptor: int
    size: int
    head: bytes
    identity: tuple[int, int, int, int]


@contextmanager
def open_log(path: Path) -> Iterator[OpenLog]:
    """Open a regular file under its literal name; no link is followed, no pipe waited for.

    Raises:
        OSError: it cannot be opened, is a symbolic link, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path.name} is no regular file")
        yield OpenLog(
            descriptor=descriptor,
            size=status.st_size,
            head=os.pread(descriptor, min(HEAD_BYTES, status.st_size), 0),
            identity=(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns),
        )
    finally:
        os.close(descriptor)


def read_into(view: memoryview, descriptor: int, start: int) -> int:
    """Fill the view with the bytes from `start` on; how many there were."""
    filled = 0
    while filled < len(view) and (more := os.preadv(descriptor, [view[filled:]], start + filled)):
        filled += more
    return filled


def read_part(descriptor: int, start: int, stop: int) -> bytes:
    """The bytes `[start, stop)`; fewer when the file has become shorter."""
    pieces: list[bytes] = []
    while start < stop and (piece := os.pread(descriptor, stop - start, start)):
        pieces.append(piece)
        start += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def codec_of(head: bytes) -> str:
    """How a file that begins like this spells its characters: UTF-8, or two bytes each."""
    if head.startswith(b"\xff\xfe"):
        return "utf-16-le"
    if head.startswith(b"\xfe\xff"):
        return "utf-16-be"
    even, odd = head[:256:2].count(0), head[1:256:2].count(0)
    half = len(head[:256]) // 4  # half of the characters of that piece
    if half and odd >= half and even * 8 < odd:
        return "utf-16-le"
    if half and even >= half and odd * 8 < even:
        return "utf-16-be"
    return "utf-8"


_NEWLINES = {"utf-16-le": b"\n\x00", "utf-16-be": b"\x00\n"}


def first_line_end(data: bytes, codec: str) -> int:
    """Just behind the first newline, 0 when there is none."""
    newline, at = _NEWLINES.get(codec, b"\n"), data.find(_NEWLINES.get(codec, b"\n"))
    while at % len(newline) and at >= 0:  # two bytes of neighbouring characters
        at = data.find(newline, at + 1)
    return at + len(newline) if at >= 0 else 0


def last_line_end(data: bytes | bytearray, codec: str, *, stop: int | None = None) -> int:
    """Just behind the last newline before `stop`, 0 when there is none."""
    newline = _NEWLINES.get(codec, b"\n")
    at = data.rfind(newline, 0, stop)
    while at % len(newline) and at >= 0:
        at = data.rfind(newline, 0, at + len(newline) - 1)
    return at + len(newline) if at >= 0 else 0


def line_edges(data: bytes, codec: str, max_lines: int) -> array[int]:
    """Byte offsets of line starts and of the end; at most `max_lines` lines."""
    edges, newline, at = array("q", [0]), _NEWLINES.get(codec), 0
    while newline is None and at < len(data) and len(edges) <= max_lines:
        codes = np.frombuffer(data, np.uint8, count=min(BLOCK_BYTES, len(data) - at), offset=at)
        ends = np.flatnonzero(codes == ord("\n"))[: max_lines + 1 - len(edges)] + (at + 1)
        edges.frombytes(ends.astype(np.int64).tobytes())
        at += BLOCK_BYTES
    while newline and len(edges) <= max_lines and (at := data.find(newline, at)) >= 0:
        if at % len(newline):
            at += 1  # the two bytes belong to neighbouring characters
            continue
        at += len(newline)
        edges.append(at)
    if len(edges) <= max_lines and edges[-1] < len(data):
        edges.append(len(data))
    return edges


def part_count(size: int) -> int:
    """In how many parts a file of that size is read."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return max(1, min(cores, size // PART_FROM_BYTES))


def even_parts(size: int) -> list[tuple[int, int]]:
    """Byte ranges of about the same length, one a core, cut between two blocks."""
    count = part_count(size)
    cuts = [size * number // count // BLOCK_BYTES * BLOCK_BYTES for number in range(count)]
    return list(zip(cuts, [*cuts[1:], size], strict=True))


def count_newlines(codes: npt.NDArray[np.uint8]) -> list[int]:
    """Newlines in each `COUNT_BYTES` of these bytes."""
    return [
        int(np.count_nonzero(codes[at : at + COUNT_BYTES] == 10))
        for at in range(0, len(codes), COUNT_BYTES)
    ]


def in_parts(work: Callable[[int, int], Answer], parts: Sequence[tuple[int, int]]) -> list[Answer]:
    """What `work` says of each part, in order: the first here, the others in forked processes.

    Forked, because only then the open descriptor is theirs too; and only from a process with a
    single thread, because a lock that another thread holds would stay locked in the child. Where
    that cannot be, or a process ends without an answer, or is much slower than this one, the work
    is done here.
    """
    if len(parts) == 1 or not _may_fork():
        return [work(start, stop) for start, stop in parts]
    context = multiprocessing.get_context("fork")
    asked: list[tuple[ForkProcess, Connection]] = []
    try:
        for part in parts[1:]:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_tell, args=(theirs, work, part), daemon=True)
            process.start()
            theirs.close()
            asked.append((process, ours))
        begun = time.monotonic()
        answers = [work(*parts[0])]
        took_s = time.monotonic() - begun
        until = time.monotonic() + PATIENCE_S + PATIENCE * took_s  # parts are of about one size
        for part, (_, pipe) in zip(parts[1:], asked, strict=True):
            try:
                is_told = pipe.poll(max(0.0, until - time.monotonic()))
                answers.append(pipe.recv() if is_told else work(*part))
            except EOFError:
                answers.append(work(*part))
        return answers
    finally:
        for process, pipe in asked:
            pipe.close()
            process.kill()
            process.join()


def _may_fork() -> bool:
    known = multiprocessing.get_all_start_methods()
    return "fork" in known and threading.active_count() == 1


def _tell(pipe: Connection, work: Callable[[int, int], object], part: tuple[int, int]) -> None:
    # What goes wrong here goes wrong again in the parent, which then has the error to raise.
    with suppress(TriageError, OSError, MemoryError):
        pipe.send(work(*part))
    pipe.close()
