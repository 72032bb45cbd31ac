"""Inflate: how is a compressed answer read so that a bomb never stands in memory whole?"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_PIECE_BYTES, _DEFLATE_OR_GZIP = 65536, 47  # 47 is zlib's "find out by the header"


def inflated(chunks: Iterator[bytes], *, coding: str, cap: int) -> Iterator[bytes]:
    """The decompressed body by small pieces, at most about `cap` bytes of it.

    Args:
        chunks: the body as it came.
        coding: its `Content-Encoding`; empty or `identity` passes it on.
        cap: bytes after which nothing more is decompressed.

    Raises:
        zlib.error: it is no gzip or deflate, or ends early.
    """
    if coding in ("identity", ""):
        yield from chunks
        return
    inflater = zlib.decompressobj(_DEFLATE_OR_GZIP)
    given = 0
    for chunk in chunks:
        waiting, full = chunk, True
        while full and given < cap:
            piece = inflater.decompress(waiting, _PIECE_BYTES)
            waiting = inflater.unconsumed_tail
            full = len(piece) == _PIECE_BYTES
            given += len(piece)
            yield piece
    if not inflater.eof and given < cap:
        raise zlib.error("the compressed body ends early")
