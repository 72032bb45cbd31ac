"""Spread: what is the middle of a few rounds, and how sure is it?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEAST = 5
"""Rounds below which no middle is told: one lucky round ranks nobody."""
RESAMPLES = 2000


def middle(values: Sequence[float], *, digits: int = 0) -> str:
    """Median with its 95 % bootstrap interval; with too few values only how many are lacking."""
    if len(values) < LEAST:
        return f"{LEAST - len(values)} more round(s)"
    low, high = interval(values)
    return f"{np.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the median; the same values give the same interval."""
    draw = np.random.default_rng(len(values))
    taken = draw.choice(np.asarray(values, dtype=float), size=(RESAMPLES, len(values)))
    low, high = np.percentile(np.median(taken, axis=1), [2.5, 97.5])
    return float(low), float(high)
