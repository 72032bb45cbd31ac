"""Where in a log file does an id stand? An index beside nothing: it lives in our cache folder.

It is optional and never trusted: what it finds is read again from the file, and it is ignored
when the file is another one or has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from loomtriage.sources.lines.parts import (
    BLOCK_BYTES,
    HEAD_BYTES,
    OpenLog,
    count_newlines,
    even_parts,
    in_parts,
    read_into,
    read_part,
)

VERSION = 1
_ID_BYTES = 16
_HEADER_BYTES = 1024
_EACH_BYTE = 0x0101010101010101
_RARE = 3
"""So many letters are compared at every byte of the file."""

Codes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What an index says of itself; equal headers mean the same file in the same state.

    Attributes:
        identity: device, inode, size and time of the last change of the file.
        ends_sha256: hash of the file's first and last bytes.
        key: name of the indexed key.
    """

    version: int
    identity: tuple[int, int, int, int]
    ends_sha256: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An open index.

    Attributes:
        runs: hashes in order, and the place of each one's key; one pair per part of the file.
        odd: places of keys whose value is no plain text and must be read each time.
        newlines: per block of `COUNT_BYTES`, how many stand before it; last, how many there are.
    """

    runs: tuple[tuple[Hashes, Places], ...]
    odd: Places
    newlines: Places

    def places(self, value: str) -> list[int]:
        """Where the key stands that may have this value, in order."""
        wanted = _hash_one(value.encode())
        found = self.odd.tolist()
        for hashes, places in self.runs:
            first, last = (int(np.searchsorted(hashes, wanted, side)) for side in ("left", "right"))
            found += places[first:last].tolist()
        return sorted(found)


def build_index(log: OpenLog, *, key: str, folder: Path) -> Path:
    """Read the file once and write its index; the file's path in the cache folder.

    Args:
        log: the open file.
        key: the indexed key, as `trace_id`.
        folder: the cache folder; files in it are private.
    """
    name = f'"{key}"'.encode()
    parts = in_parts(lambda *part: _part(log, name, part), even_parts(log.size))
    blocks = np.concatenate([part[3] for part in parts])
    newlines = np.concatenate([[0], np.cumsum(blocks)]).astype(np.int64)
    odd = np.concatenate([part[2] for part in parts])
    state = _header(log, key)
    header = {
        "version": state.version,
        "identity": state.identity,
        "ends_sha256": state.ends_sha256,
        "key": state.key,
        "runs": [len(part[0]) for part in parts],
        "odd": len(odd),
        "newlines": len(newlines),
    }
    text = json.dumps(header).encode().ljust(_HEADER_BYTES)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = _path(log, key, folder)
    partial = path.with_suffix(f".{os.getpid()}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        for hashes, places, *_ in parts:
            file.write(hashes.data)
            file.write(places.data)
        file.write(odd.data)
        file.write(newlines.data)
    partial.replace(path)
    return path


def open_index(log: OpenLog, *, key: str, folder: Path) -> Index | None:
    """The index of this file as it is now; None when there is none, or it is stale or damaged."""
    path = _path(log, key, folder)
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(_HEADER_BYTES))
        counts = [*(n for n in said.pop("runs") for _ in (0, 1)), said.pop("odd")]
        counts.append(said.pop("newlines"))
        good = path.stat().st_size == _HEADER_BYTES + 8 * sum(counts)
        said["identity"] = tuple(said["identity"])
        if not good or Header(**said) != _header(log, key):
            return None
        words = np.memmap(path, np.int64, mode="r", offset=_HEADER_BYTES)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    *pairs, odd, newlines = np.split(words, np.cumsum(counts)[:-1])
    runs = zip(pairs[::2], pairs[1::2], strict=True)
    return Index(
        runs=tuple((hashes.view(np.uint64), places) for hashes, places in runs),
        odd=odd,
        newlines=newlines,
    )


def _path(log: OpenLog, key: str, folder: Path) -> Path:
    name = hashlib.sha256(json.dumps([*log.identity[:2], key]).encode()).hexdigest()
    return folder / f"{name[:32]}.index"


def _header(log: OpenLog, key: str) -> Header:
    tail = read_part(log.descriptor, max(0, log.size - HEAD_BYTES), log.size)
    return Header(
        version=VERSION,
        identity=log.identity,
        ends_sha256=hashlib.sha256(log.head + tail).hexdigest(),
        key=key,
    )


def _part(
    log: OpenLog, name: bytes, part: tuple[int, int]
) -> tuple[Hashes, Places, Places, Places]:
    """Hashes in order with their places, odd places, newlines per block."""
    found: list[tuple[Hashes, Places, Places]] = []
    newlines: list[int] = []
    start, stop = part
    overlap = len(name) + 3 + _ID_BYTES
    buffer, finder = bytearray(BLOCK_BYTES + overlap), _Finder(name, log.head)
    codes, view = np.frombuffer(buffer, np.uint8), memoryview(buffer)
    for at in range(start, stop, BLOCK_BYTES):
        size = read_into(view[: log.size - at], log.descriptor, at)
        own = min(BLOCK_BYTES, stop - at, size)
        codes[size:] = ord(" ")
        newlines += count_newlines(codes[:own])
        places = finder.places(codes, own)
        if len(places):
            found.append(_hash_many(codes, places + len(name), at - len(name)))
    empty = np.empty(0, np.int64)
    hashes = np.concatenate([f[0] for f in found]) if found else empty.view(np.uint64)
    places = np.concatenate([f[1] for f in found]) if found else empty
    odd = np.concatenate([f[2] for f in found]) if found else empty
    order = np.argsort(hashes)
    return hashes[order], places[order], odd, np.array(newlines, np.int64)


class _Finder:
    """Finds a key where its letters stand that are rarest in this file, then looks at the rest."""

    def __init__(self, name: bytes, head: bytes) -> None:
        often = Counter(head)
        self._name = name
        self._rare = sorted(range(len(name)), key=lambda place: often[name[place]])[:_RARE]
        self._marks = np.empty((2, BLOCK_BYTES), np.bool_)

    def places(self, codes: Codes, own: int) -> Places:
        """Where the key begins in the first `own` bytes, in order."""
        marks, more = self._marks[:, :own]
        marks[:] = True
        for place in self._rare:
            np.equal(codes[place : place + own], self._name[place], out=more)
            np.logical_and(marks, more, out=marks)
        found: Places = np.flatnonzero(marks)
        texts = _at_each_byte(codes, f"S{len(self._name)}")[found]
        return found.compress(texts == self._name)


def _at_each_byte(codes: Codes, dtype: str) -> npt.NDArray[Any]:
    """A value that begins at each byte, without a copy."""
    size = np.dtype(dtype).itemsize
    return np.ndarray((len(codes) - size + 1,), dtype, codes, strides=(1,))


def _hash_many(codes: Codes, behind: Places, shift: int) -> tuple[Hashes, Places, Places]:
    """Hash the text values that stand behind these keys; the other places come apart."""
    colon = codes[behind] == ord(":")
    tight = colon & (codes[behind + 1] == ord('"'))
    loose = colon & (codes[behind + 1] == ord(" ")) & (codes[behind + 2] == ord('"'))
    plain = tight | loose
    begin = (behind + np.where(tight, 2, 3))[plain]
    eight = _at_each_byte(codes, "u8")
    words = np.stack([eight[begin], eight[begin + 8]], axis=1)
    # Values longer than that many bytes, as ids are, need no second look.
    short = np.flatnonzero((_holds(words, '"') | _holds(words, "\\")).any(axis=1))
    value = words[short].view(np.uint8)
    ended = np.logical_or.accumulate(value == ord('"'), axis=1)
    value = np.where(ended, np.uint8(0), value)
    words[short] = value.view(np.uint64)
    kept = np.ones(len(words), bool)
    kept[short] = ~(value == ord("\\")).any(axis=1)
    plain[plain] = kept
    return _hash(words[kept]), behind[plain] + shift, behind[~plain] + shift


def _holds(words: npt.NDArray[np.uint64], letter: str) -> npt.NDArray[np.bool_]:
    """Which words have that byte: only from a zero byte does a subtraction borrow."""
    apart = words ^ np.uint64(_EACH_BYTE * ord(letter))
    low = apart - np.uint64(_EACH_BYTE)
    found: npt.NDArray[np.bool_] = (low & ~apart & np.uint64(_EACH_BYTE << 7)) != 0
    return found


def _hash(words: npt.NDArray[np.uint64]) -> Hashes:
    mixed: Hashes = words[:, 0] * np.uint64(0x9E3779B97F4A7C15) ^ words[:, 1]
    return mixed


def _hash_one(value: bytes) -> np.uint64:
    words = np.frombuffer(value[:_ID_BYTES].ljust(_ID_BYTES, b"\0"), np.uint64)
    return np.uint64(_hash(words[None, :])[0])
