"""Which label pattern explains the change best?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
import pandas as pd

from loomtriage.analysis.increases import LEAF_KEYS
from loomtriage.analysis.surprise import gate, signed_g2
from loomtriage.model import Scope

PREFERRED = ("reason", "result", "op", "projection", "env")
"""Among patterns with the same leaves, the one that says most comes first."""

Pairs: TypeAlias = tuple[tuple[str, str], ...]
Floats: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]

MOST_LABELS = 3
MOST_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A set of label=value pairs with its counts.

    Attributes:
        labels: the minimal pairs that select its leaves.
        closed: every pair that all of its leaves share.
        observed, expected: counts in the window, and what the baseline predicts.
        g2: signed G².
        gate: bound that |g2| passed.
        round: 1 for the best explanation, 2 and 3 for what it leaves unexplained.
    """

    labels: Pairs
    closed: Pairs
    observed: float
    expected: float
    g2: float
    gate: float
    round: int

    @property
    def excess(self) -> float:
        """Observed minus expected."""
        return self.observed - self.expected

    @property
    def better(self) -> bool:
        """Whether it is good news: more work finished, or fewer attempts failed."""
        result = dict(self.closed).get("result")
        return self.g2 > 0 if result == "ok" else self.g2 < 0 and result in ("retry", "failed")

    @property
    def scope(self) -> Scope:
        """All shared labels as a scope; reason `none` is no reason."""
        pairs = {k: v for k, v in self.closed if not (k == "reason" and v == "none")}
        return Scope().narrow(**pairs)

    def __str__(self) -> str:
        return " ".join(f"{key}={value}" for key, value in self.labels) or "everything"


def rank(leaves: pd.DataFrame, *, exposure: float) -> tuple[Pattern, ...]:
    """Patterns that pass the gate, best first, then what remains after each (≤ 3 rounds).

    `leaves` holds `LEAF_KEYS`, `observed` and `baseline`. All sets of at most three pairs are
    tried; sets with the same leaves are one question, asked by the shortest.
    """
    if leaves.empty:
        return ()
    expected = (leaves["baseline"] * exposure).to_numpy(dtype="float64")
    observed = leaves["observed"].to_numpy(dtype="float64")
    baseline = leaves["baseline"].to_numpy(dtype="float64").copy()
    generators = _minimal_generators(leaves)
    bound = gate(len(generators))
    found: list[Pattern] = []
    for turn in range(1, MOST_ROUNDS + 1):
        best = _best(generators, observed, baseline, exposure=exposure)
        if best is None or abs(best[1]) < bound:
            break
        members, g2 = best
        rows = list(members)
        found.append(
            Pattern(
                labels=generators[members],
                closed=_closure(leaves.iloc[rows]),
                observed=float(observed[rows].sum()),
                expected=float(expected[rows].sum()),
                g2=g2,
                gate=bound,
                round=turn,
            )
        )
        baseline[rows] = observed[rows] / exposure
    return tuple(found)


def _minimal_generators(leaves: pd.DataFrame) -> dict[frozenset[int], Pairs]:
    """Leaf set -> shortest pairs that select exactly it."""
    rows = [dict(zip(LEAF_KEYS, row, strict=True)) for row in leaves[list(LEAF_KEYS)].to_numpy()]
    selected: dict[Pairs, set[int]] = {}
    for number, row in enumerate(rows):
        pairs = [(key, str(row[key])) for key in PREFERRED if row[key] != ""]
        for size in range(1, MOST_LABELS + 1):
            for chosen in combinations(pairs, size):
                selected.setdefault(chosen, set()).add(number)
    order = sorted(
        selected, key=lambda chosen: (len(chosen), [PREFERRED.index(k) for k, _ in chosen])
    )
    generators: dict[frozenset[int], Pairs] = {}
    for chosen in order:
        generators.setdefault(frozenset(selected[chosen]), chosen)
    return generators


def _best(
    generators: dict[frozenset[int], Pairs], observed: Floats, baseline: Floats, *, exposure: float
) -> tuple[frozenset[int], float] | None:
    """(leaf set, signed G²) of the strongest pattern; ties go to the shorter one."""
    scored = [
        (
            members,
            signed_g2(
                observed[list(members)].sum(), baseline[list(members)].sum(), exposure=exposure
            ),
        )
        for members in generators
    ]
    return max(scored, key=lambda item: (abs(item[1]), -len(generators[item[0]])), default=None)


def _closure(leaves: pd.DataFrame) -> Pairs:
    """Every pair that all of these leaves share."""
    shared = []
    for key in LEAF_KEYS:
        values = set(leaves[key])
        if len(values) == 1 and "" not in values:
            shared.append((key, str(values.pop())))
    return tuple(shared)
