"""Which label patterns can be told apart on these leaves, and which leaves does each select?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
import pandas as pd

from loomtriage.analysis.surprise import Floats

Pairs: TypeAlias = tuple[tuple[str, str], ...]
Matrix: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float64]]

Mask: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]

MOST_LABELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coded:
    """One key's values over the leaves: sorted names, and a number into them for each leaf."""

    names: tuple[str, ...]
    codes: np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Every distinguishable pattern over a table of leaves, shortest first.

    Attributes:
        labels: the minimal pairs of each pattern; patterns that select the same leaves are one.
        members: patterns × leaves, 1.0 where the pattern selects the leaf.
    """

    labels: tuple[Pairs, ...]
    members: Matrix

    def __len__(self) -> int:
        return len(self.labels)

    def sums(self, counts: Floats) -> Floats:
        """Per pattern, the sum of a count over its leaves."""
        return self.members @ counts


def build(leaves: pd.DataFrame, keys: Sequence[str]) -> Lattice:
    """All sets of at most three pairs of `keys`; an empty value is no pair.

    Earlier keys are preferred: of two sets of one size that select the same leaves, the one
    whose keys come first is kept. The order does not depend on the order of the leaves.
    """
    coded = {key: _code(leaves[key]) for key in keys}
    labels: list[Pairs] = []
    rows: list[Mask] = []
    seen: set[bytes] = set()
    for size in range(1, MOST_LABELS + 1):
        for chosen in combinations(keys, size):
            for values, mask in _groups([coded[key] for key in chosen]):
                mark = np.packbits(mask).tobytes()
                if mark not in seen:
                    seen.add(mark)
                    labels.append(tuple(zip(chosen, values, strict=True)))
                    rows.append(mask)
    members = np.array(rows, dtype="float64").reshape(len(rows), len(leaves))
    return Lattice(labels=tuple(labels), members=members)


def closure(leaves: pd.DataFrame, keys: Sequence[str]) -> Pairs:
    """Every pair that all of these leaves share."""
    shared = []
    for key in keys:
        values = set(leaves[key])
        if len(values) == 1 and "" not in values:
            shared.append((key, str(values.pop())))
    return tuple(shared)


def _code(values: pd.Series) -> _Coded:
    names, codes = np.unique(values.astype(str).to_numpy(dtype=object), return_inverse=True)
    return _Coded(names=tuple(names), codes=codes)


def _groups(columns: Sequence[_Coded]) -> list[tuple[tuple[str, ...], Mask]]:
    """(values, which leaves have them) for each combination that occurs, in sorted order."""
    joint = columns[0].codes
    for column in columns[1:]:
        joint = joint * len(column.names) + column.codes
    _, first, place = np.unique(joint, return_index=True, return_inverse=True)
    found = []
    for number, leaf in enumerate(first):
        values = tuple(str(column.names[column.codes[leaf]]) for column in columns)
        if "" not in values:
            found.append((values, place == number))
    return found
