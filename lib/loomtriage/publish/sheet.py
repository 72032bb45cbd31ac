"""Sheet: how do cells become the bytes of a notebook, the same every time?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell.

    Attributes:
        id: the cell's role in words; stable, so that a diff shows what changed.
        source: text or code, without a newline at its end.
        tag: what the cell is for, empty for text; a cell with a tag is code.
    """

    id: str
    source: str
    tag: str = ""


def notebook_text(cells: Sequence[Cell], *, about: Mapping[str, object]) -> str:
    """A stripped notebook as nbformat 4.5 writes it: sorted keys, no outputs, no counts.

    Args:
        cells: in reading order.
        about: the notebook's own metadata: id, title, stage, safety, needs, next.
    """
    content = {
        "cells": [_cell(cell) for cell in cells],
        "metadata": {**_KERNEL, "loomtriage": dict(about)},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _cell(cell: Cell) -> dict[str, object]:
    shown = {"id": cell.id, "source": cell.source.splitlines(keepends=True)}
    if not cell.tag:
        return {**shown, "cell_type": "markdown", "metadata": {}}
    return {
        **shown,
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": [cell.tag]},
        "outputs": [],
    }
