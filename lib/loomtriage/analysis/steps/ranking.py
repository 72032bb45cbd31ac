"""Which step (service + span name) fails or slows down?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from loomtriage.analysis.steps.calls import Calls, Name, Tally, tally
from loomtriage.analysis.steps.rank_sum import rank_sum
from loomtriage.analysis.surprise import FLOOR_EVENTS, gate, signed_g2

SHARE_OF_PARENT = 0.5
"""A child that carries at least this share of its parent's errors is where they come from."""
EFFECT = 0.3
"""Cliff's δ from which a step counts as slower: its calls win 65 of 100 comparisons."""
EXCESS_SHARE = 0.1
"""A step is worth naming when it made the average trace longer by at least this share."""
EXCESS_FLOOR_S = 0.005
"""Below this the scheduler of a busy machine explains a slower step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a step's own time compares with the baseline's; all zero without one.

    Attributes:
        excess_s: own seconds per root trace beyond the baseline's, Δ.
        share: max(Δ, 0) ÷ the sum of it over all steps.
        median_s, median_before_s: own seconds of one call.
        effect: Cliff's δ of the calls' own times.
        slower: whether chance, size and effect all say so.
    """

    excess_s: float = 0.0
    share: float = 0.0
    median_s: float = 0.0
    median_before_s: float = 0.0
    effect: float = 0.0
    slower: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One service + operation, compared between window and baseline.

    Attributes:
        service, operation: the step; `(network)` is the way to the service.
        parent_service, parent: step it mostly hangs under, empty for a root.
        calls, errors: in the window, once per piece of work.
        attempts: spans in the window, retries counted each.
        calls_before, errors_before: in the baseline.
        g2: signed G² of the errors, exposure = calls; 0 without a baseline.
        passes: whether the errors are significant (or, without a baseline, present).
        pace: own time.
    """

    service: str
    operation: str
    parent_service: str
    parent: str
    calls: int
    errors: int
    attempts: int
    calls_before: int
    errors_before: int
    g2: float
    passes: bool
    pace: Pace

    def __str__(self) -> str:
        return f"{self.service} › {self.operation}"

    @property
    def name(self) -> Name:
        """Service and operation."""
        return self.service, self.operation

    @property
    def above(self) -> Name:
        """Service and operation of the parent."""
        return self.parent_service, self.parent


def compare(spans: pd.DataFrame, before: pd.DataFrame) -> tuple[Step, ...]:
    """Every step of the window's spans, the most surprising errors first."""
    return rank(tally(spans), tally(before))


def rank(now: Tally, then: Tally) -> tuple[Step, ...]:
    """Every step of the window's calls: significant errors first, then by excess own time.

    Without a baseline the share of failed calls ranks.
    """
    bound, paces = gate(len(now.steps)), _paces(now, then)
    steps = [_step(name, now, then, paces=paces, bound=bound) for name in now.steps]
    if not then.roots:
        return tuple(sorted(steps, key=lambda s: (-s.errors / s.calls, -s.errors, s.name)))
    return tuple(sorted(steps, key=lambda s: (-s.passes, -s.g2, -s.pace.share, -s.errors, s.name)))


def deepest(steps: tuple[Step, ...]) -> Step | None:
    """The failing step whose errors no failing child explains; None when nothing fails."""
    suspects = [step for step in steps if step.passes]
    leaves = [
        step
        for step in suspects
        if not any(
            child.above == step.name and child.errors >= SHARE_OF_PARENT * step.errors
            for child in suspects
            if child is not step
        )
    ]
    # Steps that call each other in a circle explain each other: then the strongest is named.
    return max(leaves or suspects, key=lambda s: (s.g2, s.errors), default=None)


def slowest(steps: tuple[Step, ...]) -> Step | None:
    """The step with the largest excess own time among those that are slower; None without."""
    slower = [step for step in steps if step.pace.slower]
    return max(slower, key=lambda s: (s.pace.share, s.pace.effect), default=None)


def _step(name: Name, now: Tally, then: Tally, *, paces: Mapping[Name, Pace], bound: float) -> Step:
    mine, old = now.steps[name], then.steps.get(name)
    g2 = 0.0
    if then.roots:
        # A step that the baseline lacks is judged by how much work the baseline saw.
        exposure = mine.calls / old.calls if old else max(now.roots, 1) / then.roots
        g2 = signed_g2(mine.errors, old.errors if old else 0, exposure=exposure)
    return Step(
        service=name[0],
        operation=name[1],
        parent_service=mine.parent[0],
        parent=mine.parent[1],
        calls=mine.calls,
        errors=mine.errors,
        attempts=mine.attempts,
        calls_before=old.calls if old else 0,
        errors_before=old.errors if old else 0,
        g2=g2,
        passes=g2 > bound if then.roots else mine.errors > 0,
        pace=paces[name],
    )


def _paces(now: Tally, then: Tally) -> dict[Name, Pace]:
    if not then.roots:
        return dict.fromkeys(now.steps, Pace())
    usual = {name: float(calls.own_s.sum()) / then.roots for name, calls in then.steps.items()}
    excess = {
        name: float(calls.own_s.sum()) / max(now.roots, 1) - usual.get(name, 0.0)
        for name, calls in now.steps.items()
    }
    gained = sum(max(value, 0.0) for value in excess.values()) or 1.0
    floor_s = max(EXCESS_FLOOR_S, EXCESS_SHARE * sum(usual.values()))
    bound = gate(len(now.steps))
    paces = {}
    for name, calls in now.steps.items():
        old, delta = then.steps.get(name), excess[name]
        slow = _Slow() if old is None else _slow(calls, old, bound=bound)
        paces[name] = Pace(
            excess_s=delta,
            share=max(delta, 0.0) / gained,
            median_s=_median(calls),
            median_before_s=_median(old) if old else 0.0,
            effect=slow.effect,
            slower=slow.passes and delta >= floor_s,
        )
    return paces


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slow:
    effect: float = 0.0
    passes: bool = False


def _slow(calls: Calls, old: Calls, *, bound: float) -> _Slow:
    found = rank_sum(calls.own_s, old.own_s)
    enough = min(calls.calls, old.calls) >= FLOOR_EVENTS
    passes = enough and found.effect >= EFFECT and found.z > 0 and found.z**2 > bound
    return _Slow(effect=found.effect, passes=passes)


def _median(calls: Calls) -> float:
    return float(np.median(calls.own_s)) if len(calls.own_s) else 0.0
