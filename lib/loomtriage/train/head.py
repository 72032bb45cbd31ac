"""Head: does a board still hold every line that was ever written to it?

A chain shows every change but a cut end. So a small file beside the board says how many lines it
has and what the last one's SHA-256 is. A line is written first and the head after it: a writer
that is killed in between leaves a board that is one line ahead, or half a line, and nothing else.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from loomtriage.drills.journal import sync_folder
from loomtriage.drills.record import canonical
from loomtriage.errors import BundleDamaged

FILE = "board.head"
FIRST = "0" * 64
"""What stands in the place of the last line's SHA-256 while there is none."""
RESTORE = (
    "Put board.jsonl and board.head back together, from a copy or from version control; "
    "or begin another folder."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a board ends.

    Attributes:
        n: how many lines it has.
        sha256: that of the last one.
    """

    n: int = 0
    sha256: str = FIRST


def read_head(folder: Path) -> Head | None:
    """The head of the board in that folder, None where there is none.

    Raises:
        BundleDamaged: it is no head.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    data = path.read_bytes()
    try:
        content = dict(json.loads(data))
        head = Head(n=int(content["n"]), sha256=str(content["sha256"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        head = Head(n=-1)
    if head.n < 0 or data != _line(head):
        raise BundleDamaged(f"{folder.name}/{FILE} was changed after it was written.", hint=RESTORE)
    return head


def write_head(folder: Path, head: Head) -> None:
    """Write the head, durable when this returns; the caller holds the board's lock."""
    draft = folder / f"{FILE}.new"
    with draft.open("wb") as file:
        file.write(_line(head))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / FILE)
    sync_folder(folder)


def _line(head: Head) -> bytes:
    return canonical({"n": head.n, "sha256": head.sha256}) + b"\n"
