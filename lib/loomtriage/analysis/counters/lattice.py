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
Places: TypeAlias = np.ndarray[tuple[int], np.dtype[np.intp]]
"""Numbers of leaves, in rising order."""

MOST_LABELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coded:
    """One key's values over the leaves: sorted names, and a number into them for each leaf."""

    names: tuple[str, ...]
    codes: Places


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Every distinguishable pattern over a table of leaves, shortest first.

    Attributes:
        labels: the minimal pairs of each pattern; patterns that select the same leaves are one.
        members: for each pattern the leaves that it selects, one pattern after the other.
            A leaf is in at most as many as its keys make sets, so this grows with the leaves.
        starts: where each pattern's leaves begin in `members`.
    """

    labels: tuple[Pairs, ...]
    members: Places
    starts: Places

    def __len__(self) -> int:
        return len(self.labels)

    def sums(self, counts: Floats) -> Floats:
        """Per pattern, the sum of a count over its leaves."""
        return np.add.reduceat(counts[self.members], self.starts) if len(self) else np.zeros(0)

    def leaves(self, pattern: int) -> Places:
        """The leaves that a pattern selects."""
        ends = [*self.starts[1:], len(self.members)]
        return self.members[self.starts[pattern] : ends[pattern]]


def build(leaves: pd.DataFrame, keys: Sequence[str]) -> Lattice:
    """All sets of at most three pairs of `keys`; an empty value is no pair.

    Earlier keys are preferred: of two sets of one size that select the same leaves, the one
    whose keys come first is kept. The order does not depend on the order of the leaves.
    """
    coded = {key: _code(leaves[key]) for key in keys}
    labels: list[Pairs] = []
    members: list[Places] = []
    seen: set[bytes] = set()
    for size in range(1, MOST_LABELS + 1):
        for chosen in combinations(keys, size):
            for values, places in _groups([coded[key] for key in chosen]):
                mark = places.tobytes()
                if mark not in seen:
                    seen.add(mark)
                    labels.append(tuple(zip(chosen, values, strict=True)))
                    members.append(places)
    sizes = np.array([len(places) for places in members], dtype=np.intp)
    return Lattice(
        labels=tuple(labels),
        members=np.concatenate(members) if members else np.zeros(0, dtype=np.intp),
        starts=np.cumsum(sizes) - sizes,
    )


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


def _groups(columns: Sequence[_Coded]) -> list[tuple[tuple[str, ...], Places]]:
    """(values, the leaves that have them) for each combination that occurs, in sorted order."""
    joint = columns[0].codes
    for column in columns[1:]:
        joint = joint * len(column.names) + column.codes
    order = np.argsort(joint, kind="stable")
    cuts = np.flatnonzero(np.diff(joint[order])) + 1
    found = []
    for places in np.split(order, cuts) if len(order) else ():
        values = tuple(str(column.names[column.codes[places[0]]]) for column in columns)
        if "" not in values:
            found.append((values, places))
    return found
