"""Which label pattern explains the change best?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from loomtriage.analysis.counters.increases import LEAF_KEYS
from loomtriage.analysis.counters.lattice import Lattice, Pairs, build, closure
from loomtriage.analysis.surprise import Floats, gate, signed_g2s
from loomtriage.model import Scope

PREFERRED = ("reason", "result", "op", "projection", "env")
"""Among patterns with the same leaves, the one that says most comes first."""

MOST_ROUNDS = 3
TIE_DIGITS = 9
"""G² is compared to so many digits: sums of the same counts differ by rounding alone."""


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


def rank(
    leaves: pd.DataFrame, *, exposure: float, keys: Sequence[str] = LEAF_KEYS
) -> tuple[Pattern, ...]:
    """Patterns that pass the gate, best first, then what remains after each (≤ 3 rounds).

    `leaves` holds `keys`, `observed` and `baseline`. All sets of at most three pairs are
    tried; sets with the same leaves are one question, asked by the shortest. The outcome does
    not depend on the order of the leaves.
    """
    found: list[Pattern] = []
    field = _Field.over(leaves, exposure=exposure, keys=keys)
    for turn in range(1, MOST_ROUNDS + 1):
        best = next(iter(field.best(1)), None)
        if best is None or abs(field.scores[best]) < field.bound:
            break
        found.append(field.pattern(best, turn=turn))
        field = field.without(best)
    return tuple(found)


def strongest(
    leaves: pd.DataFrame, *, exposure: float, keys: Sequence[str] = LEAF_KEYS, most: int = 3
) -> tuple[Pattern, ...]:
    """The `most` patterns with the largest |G²|, whether or not they pass the gate."""
    field = _Field.over(leaves, exposure=exposure, keys=keys)
    return tuple(field.pattern(place, turn=1) for place in field.best(most))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """Leaves, their patterns, and the score of each pattern against the baseline so far."""

    leaves: pd.DataFrame
    keys: tuple[str, ...]
    lattice: Lattice
    observed: Floats
    expected: Floats
    baseline: Floats
    exposure: float
    scores: Floats
    bound: float

    @classmethod
    def over(cls, leaves: pd.DataFrame, *, exposure: float, keys: Sequence[str]) -> _Field:
        first = [key for key in PREFERRED if key in keys]
        lattice = build(leaves, (*first, *(key for key in keys if key not in PREFERRED)))
        observed = leaves["observed"].to_numpy(dtype="float64")
        baseline = leaves["baseline"].to_numpy(dtype="float64")
        return cls(
            leaves=leaves,
            keys=tuple(keys),
            lattice=lattice,
            observed=observed,
            expected=baseline * exposure,
            baseline=baseline,
            exposure=exposure,
            scores=_scores(lattice, observed, baseline, exposure=exposure),
            bound=gate(len(lattice)),
        )

    def best(self, most: int) -> list[int]:
        """Places of the patterns with the largest |G²|; ties go to the shorter one."""
        strength = np.round(np.abs(self.scores), TIE_DIGITS)
        return [int(place) for place in np.argsort(-strength, kind="stable")[:most]]

    def without(self, place: int) -> _Field:
        """The same field once a pattern's leaves are explained: as many expected as observed."""
        explained = self.lattice.leaves(place)
        baseline = self.baseline.copy()
        baseline[explained] = self.observed[explained] / self.exposure
        scores = _scores(self.lattice, self.observed, baseline, exposure=self.exposure)
        return replace(self, baseline=baseline, scores=scores)

    def pattern(self, place: int, *, turn: int) -> Pattern:
        """One pattern, told with the counts that were expected before any was explained."""
        chosen = self.lattice.leaves(place)
        return Pattern(
            labels=self.lattice.labels[place],
            closed=closure(self.leaves.iloc[chosen], self.keys),
            observed=float(self.observed[chosen].sum()),
            expected=float(self.expected[chosen].sum()),
            g2=float(self.scores[place]),
            gate=self.bound,
            round=turn,
        )


def _scores(lattice: Lattice, observed: Floats, baseline: Floats, *, exposure: float) -> Floats:
    return signed_g2s(lattice.sums(observed), lattice.sums(baseline), exposure=exposure)
