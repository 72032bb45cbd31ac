"""Are the values of one sample larger than those of another, and by how much?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from loomtriage.analysis.steps.forest import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class RankSum:
    """Mann–Whitney's comparison of two samples.

    Attributes:
        z: standard score of U by the normal approximation with ties; positive when the first
            sample is larger. Its square is χ²₁ under no change.
        effect: Cliff's δ, P(first > second) - P(first < second), between -1 and 1.
    """

    z: float
    effect: float


def rank_sum(first: Floats, second: Floats) -> RankSum:
    """Compare two samples by the ranks of their values; an empty one compares to nothing."""
    n, m = len(first), len(second)
    if not n or not m:
        return RankSum(z=0.0, effect=0.0)
    both = np.concatenate([first, second])
    _, value, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[value]
    u = float(ranks[:n].sum()) - n * (n + 1) / 2.0
    size = n + m
    ties = float((counts.astype("float64") ** 3 - counts).sum())
    variance = n * m / 12.0 * (size + 1 - ties / (size * max(size - 1, 1)))
    z = (u - n * m / 2.0) / math.sqrt(variance) if variance > 1e-9 else 0.0
    return RankSum(z=z, effect=2.0 * u / (n * m) - 1.0)
