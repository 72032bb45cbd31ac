"""Handover: what each stage leaves in the run folder, and what a stage may start from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from loomtriage.errors import BundleDamaged

NAME = "handover.json"
Left = tuple[str, Mapping[str, object]]
"""A stage's id and what it left, by key."""


def read_handover(folder: Path) -> tuple[Left, ...]:
    """What the stages left in a run folder, in the order they ran; empty when none did.

    Raises:
        BundleDamaged: the file does not have that form.
    """
    path = folder / NAME
    if not path.is_file():
        return ()
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return tuple((str(entry["stage"]), dict(entry["left"])) for entry in entries)
    except (ValueError, TypeError, KeyError):
        raise BundleDamaged(
            f"{folder.name}/{NAME} is no handover.", hint="Run the earlier stages again."
        ) from None


def before(lefts: tuple[Left, ...], stage: str) -> dict[str, object]:
    """What the stages before `stage` left, the later one's word counting; all, when it never ran.

    A stage that runs again must not start from what it found the last time.
    """
    merged: dict[str, object] = {}
    for name, left in lefts:
        if name == stage:
            break
        merged.update(left)
    return merged


def add_handover(folder: Path, stage: str, left: Mapping[str, object]) -> None:
    """Write what a stage leaves; what it and later stages had left before is dropped."""
    names = [name for name, _ in read_handover(folder)]
    kept = read_handover(folder)[: names.index(stage)] if stage in names else read_handover(folder)
    entries = [{"stage": name, "left": dict(content)} for name, content in (*kept, (stage, left))]
    text = json.dumps(entries, indent=1, sort_keys=True, ensure_ascii=True, default=str)
    (folder / NAME).write_text(text + "\n", encoding="utf-8")
