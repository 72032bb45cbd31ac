"""Packing: how is a recorded answer kept small, and read again without trusting it?"""

from __future__ import annotations

import lzma

from loomtriage.errors import BundleDamaged

SUFFIX = ".xz"
MAX_MEMBER_BYTES = 256 * 1024 * 1024
_MEMORY_BYTES = 64 * 1024 * 1024
# Spans and lines repeat themselves from afar, which only a thorough search finds; a large
# answer is packed in a hurry, since somebody waits for its verdict.
_THOROUGH, _HURRIED, _LARGE_BYTES = 4, 0, 8 * 1024 * 1024


def pack(body: bytes) -> bytes:
    """The same bytes, packed; equal bodies give equal bytes."""
    return lzma.compress(body, preset=_HURRIED if len(body) > _LARGE_BYTES else _THOROUGH)


def unpack(packed: bytes, name: str) -> bytes:
    """The body of a member, never more than `MAX_MEMBER_BYTES` of it.

    Args:
        packed: as it stands in the file.
        name: the member's, for the message.

    Raises:
        BundleDamaged: it is not packed so, ends early, holds more, or wants too much memory.
    """
    unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MEMORY_BYTES)
    try:
        body = unpacker.decompress(packed, max_length=MAX_MEMBER_BYTES + 1)
    except (lzma.LZMAError, EOFError) as error:
        raise damaged(f"{name} cannot be unpacked ({type(error).__name__})") from None
    if len(body) > MAX_MEMBER_BYTES:
        raise damaged(f"{name} holds more than {MAX_MEMBER_BYTES} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise damaged(f"{name} ends early or goes on behind its end")
    return body


def damaged(says: str) -> BundleDamaged:
    """The refusal of a recording, with what is wrong."""
    return BundleDamaged(
        f"The recording is damaged: {says}.", hint="Take an undamaged copy, or record it again."
    )
