"""How surprising is a count, given what the baseline and the exposure predict?"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import numpy as np

from loomtriage.analysis.counters.increases import Increases
from loomtriage.model import Window

Floats: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]

FLOOR_EVENTS = 6.0
"""Fewer extra events than this are not enough evidence (measured: exact top-1 below 0.5)."""

HEALTHY_ENOUGH = 5.0
"""Healthy work that both windows need before its ratio may serve as exposure."""


def signed_g2(observed: float, baseline: float, *, exposure: float) -> float:
    """Two-rate Poisson likelihood-ratio statistic, signed by `observed - exposure * baseline`.

    G² = 2·[a·ln(a/(t·p)) + b·ln(b/(t·(1-p)))] with 0.5 added to each count, t = a+b and
    p = e/(1+e); χ² with one degree of freedom under no change.
    """
    one = signed_g2s(np.array([observed]), np.array([baseline]), exposure=exposure)
    return float(one[0])


def signed_g2s(observed: Floats, baseline: Floats, *, exposure: float) -> Floats:
    """`signed_g2` of many pairs of counts at once."""
    a, b = observed + 0.5, baseline + 0.5
    total, share = a + b, exposure / (1.0 + exposure)
    value = 2.0 * (a * np.log(a / (total * share)) + b * np.log(b / (total * (1.0 - share))))
    return np.copysign(np.maximum(value, 0.0), observed - exposure * baseline)


def gate(tests: int, *, alpha: float = 0.05) -> float:
    """χ²₁ bound for `tests` simultaneous questions (Bonferroni): about 14.6 for 367."""
    tail = alpha / max(tests, 1)
    return NormalDist().inv_cdf(1.0 - tail / 2.0) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Ratio of the work offered in the window to that in the baseline, and how it was measured."""

    ratio: float
    measured_by: str


def exposure(increases: Increases, *, window: Window, baseline: Window | None) -> Exposure | None:
    """The enqueue rate first, then finished work, then time; None without a baseline.

    Finished work fails as a yardstick when nothing is healthy (Elasticsearch fully down), so it
    is used only where the producer does not say what it enqueued.
    """
    if baseline is None:
        return None
    done, done_before = increases.total("processed")
    made, made_before = increases.total("produced")
    if min(made, made_before) >= HEALTHY_ENOUGH:
        return Exposure(ratio=made / made_before, measured_by="rows enqueued")
    if min(done, done_before) >= HEALTHY_ENOUGH:
        return Exposure(ratio=done / done_before, measured_by="rows finished")
    return Exposure(ratio=window.seconds / baseline.seconds, measured_by="time")
