"""Bytes of a trace file -> its documents, every byte accounted for: parsed, or skipped and why."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from loomtriage.sources.files import FileBytes
from loomtriage.sources.json_text import is_open, read_json
from loomtriage.sources.spans.jaeger import Span, read_document
from loomtriage.sources.tape import Unreadable

PLACES_SHOWN = 5
_GZIP = b"\x1f\x8b"
_GZIP_ONLY = 31  # zlib's word for "a gzip header and nothing else"
Read = tuple[object, list[Span]]
"""A document and its spans."""


@dataclass(slots=True, kw_only=True)
class Account:
    """What became of the bytes of one file's text (in UTF-8); the two counts add up to it.

    Attributes:
        parsed, skipped: bytes.
        kinds: places (line numbers from 1) of what was skipped, by class: `not_json`, `no_spans`
            (another document, such as metrics), `truncated` (the last line breaks off).
        limits: what was not even looked at, a sentence each.
    """

    parsed: int = 0
    skipped: int = 0
    kinds: dict[str, list[int]] = field(default_factory=dict)
    limits: list[str] = field(default_factory=list)

    def skip(self, kind: str, line: int, size: int) -> None:
        """Count one line that is no trace document."""
        self.skipped += size
        self.kinds.setdefault(kind, []).append(line)

    def notes(self, name: str) -> list[str]:
        """Caveats about the file."""
        notes = [f"truncated: of {name} {limit}" for limit in self.limits]
        if self.kinds:
            parts = "; ".join(_in_words(kind, at) for kind, at in sorted(self.kinds.items()))
            notes.append(
                f"partial: {name}: parsed {self.parsed} bytes, skipped {self.skipped} bytes "
                f"({parts})."
            )
        return notes


def read_spans(read: FileBytes, *, account: Account, max_bytes: int) -> Iterator[Read]:
    """Documents with their spans: one a line, as the collector writes them, or one in all.

    Raises:
        Unreadable: there is text, and no trace document in it.
    """
    if read.cut:
        account.limits.append(f"the last {len(read.data)} of {read.size} bytes were read.")
    text = _text(_unpacked(read, account=account, max_bytes=max_bytes), read)
    found, lines = 0, text.split("\n")
    for number, line in enumerate(lines, start=1):
        size = len(line.encode("utf-8", "replace")) + (number < len(lines))
        one = _document(line)
        if isinstance(one, tuple):
            found += 1
            account.parsed += size
            yield one
        elif one:
            account.skip(one, number, size)
        else:
            account.parsed += size
    if not found and text.strip():
        yield _whole(text, account)


def _document(line: str) -> Read | str:
    """A line's document, else the class of its skip; empty text for a blank line."""
    bare = line.strip(" \t\r\0")
    if not bare:
        return ""
    try:
        document = json.loads(bare)
    except (ValueError, RecursionError):
        return "truncated" if bare.startswith("{") and is_open(bare) else "not_json"
    try:
        return document, read_document(document)[0]
    except Unreadable:
        return "no_spans"


def _whole(text: str, account: Account) -> Read:
    """One document over all lines.

    Raises:
        Unreadable: it is none.
    """
    document = read_json(text.encode("utf-8", "replace"))
    spans, _ = read_document(document)
    account.parsed, account.skipped = account.parsed + account.skipped, 0
    account.kinds.clear()
    return document, spans


def _text(data: bytes, read: FileBytes) -> str:
    """Windows' shells write UTF-16; a slice of it must begin on a whole character."""
    head = data[:4] if read.head.startswith(_GZIP) else read.head
    codec = "utf-8"
    if head.startswith(b"\xff\xfe") or head[1:2] == b"\0":
        codec = "utf-16-le"
    elif head.startswith(b"\xfe\xff") or head[:1] == b"\0":
        codec = "utf-16-be"
    odd = (read.size - len(read.data)) % 2 if codec != "utf-8" else 0
    return data[odd:].decode(codec, "replace").removeprefix("\ufeff")


def _unpacked(read: FileBytes, *, account: Account, max_bytes: int) -> bytes:
    """The file's bytes, unpacked when it is a gzip file, at most `max_bytes` of them.

    Raises:
        Unreadable: it is packed and damaged, or larger than what is read of a file.
    """
    if not read.head.startswith(_GZIP):
        return read.data
    if read.cut:
        raise Unreadable("too_large", "A packed trace file is too large. Unpack or split it.")
    unpacked, waiting = bytearray(), read.data
    while waiting:
        inflater = zlib.decompressobj(_GZIP_ONLY)
        try:
            unpacked += inflater.decompress(waiting, max_bytes + 1 - len(unpacked))
        except zlib.error:
            raise Unreadable("damaged", "A packed trace file is damaged. Copy it again.") from None
        if len(unpacked) > max_bytes:
            account.limits.append(f"the first {max_bytes} unpacked bytes were read.")
            return bytes(unpacked[:max_bytes])
        if not inflater.eof:
            account.limits.append(f"{len(unpacked)} bytes could be unpacked; it breaks off.")
            return bytes(unpacked)
        waiting = inflater.unused_data.lstrip(b"\0")
    return bytes(unpacked)


def _in_words(kind: str, places: list[int]) -> str:
    shown = ", ".join(map(str, places[:PLACES_SHOWN]))
    more = " …" if len(places) > PLACES_SHOWN else ""
    return f"{kind}: {len(places)} lines at {shown}{more}"
