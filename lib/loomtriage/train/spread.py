"""Spread: what is the middle of a few rounds, or their mean, and how sure is it?"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, inf

import numpy as np

LEAST = 5
"""Rounds below which no middle is told: one lucky round ranks nobody."""
RESAMPLES = 2000
MISSED = 0.025
"""How often the median may lie below the interval, and as often above it."""
LATE = "> limit"
"""What is longer than anybody waited."""


def middle(values: Sequence[float], *, digits: int = 0) -> str:
    """Median with its 95 % interval; with too few values only how many are lacking.

    A value that is infinite was not reached within the limit: it is longer than all others.
    """
    if len(values) < LEAST:
        return _few(values)
    ranked = sorted(values)
    half, is_even = len(ranked) // 2, len(ranked) % 2 == 0
    median = (ranked[half - 1] + ranked[half]) / 2 if is_even else ranked[half]
    return _told(median, interval(values), digits)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Exact 95 % interval of the median, from one value of the ordered ones to another.

    Of five values even the smallest to the largest cover 94 % only.
    """
    ranked, n = sorted(values), len(values)
    outside, rank = 1 / 2**n, 0
    while (outside := outside + comb(n, rank + 1) / 2**n) <= MISSED:
        rank += 1
    return ranked[rank], ranked[n - 1 - rank]


def mean(values: Sequence[float], *, digits: int = 0) -> str:
    """Mean with its 95 % bootstrap interval; the same values give the same interval."""
    if len(values) < LEAST:
        return _few(values)
    draw = np.random.default_rng(len(values))
    taken = draw.choice(np.asarray(values, dtype=float), size=(RESAMPLES, len(values)))
    low, high = np.percentile(taken.mean(axis=1), [2.5, 97.5])
    return _told(float(np.mean(values)), (float(low), float(high)), digits)


def _few(values: Sequence[float]) -> str:
    return f"{LEAST - len(values)} more round(s)"


def _told(value: float, ends: tuple[float, float], digits: int) -> str:
    at, low, high = (LATE if one == inf else f"{one:.{digits}f}" for one in (value, *ends))
    return f"{at} ({low} to {high})"
