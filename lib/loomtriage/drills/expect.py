"""Expectations: what must the lab's own counters do while the fault stands?

Names come from the catalogue. A counter's increase in the fault window is compared with what the
baseline's rate predicts for it; a gauge is compared at the ends of both windows.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from loomtriage.contract.catalogue import BY_ID, Metric, MetricType
from loomtriage.contract.reasons import BY_NAME
from loomtriage.drills.meter import Span
from loomtriage.errors import UsageError
from loomtriage.model import Finding, State

COARSE = "es_4xx"
"""What a worker counts that does not tell a mapping conflict from a write block."""
AT_LEAST = 3.0
"""Events below which neither a rise nor a fall is claimed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Both windows: before apply, and while the fault stood."""

    baseline: Span
    fault: Span


class Expectation(Protocol):
    """One promise of a drill about one metric."""

    @property
    def name(self) -> str:
        """What is expected, in words."""
        ...

    def check(self, observed: Observed) -> Finding:
        """Whether it came."""
        ...


@dataclass(frozen=True, slots=True)
class _Expected(ABC):
    """Shared parts of all expectations.

    Attributes:
        metric: catalogue id.
        projection, op, reason, result: labels that narrow it, empty for any.

    Raises:
        UsageError: the catalogue has no such metric, or the metric no such label.
    """

    metric: str
    projection: str = ""
    op: str = ""
    reason: str = ""
    result: str = ""

    def __post_init__(self) -> None:
        if self.metric not in BY_ID:
            raise UsageError(
                f"The catalogue has no metric {self.metric!r}.",
                hint=f"Choose one of {', '.join(BY_ID)}.",
            )
        alien = [label for label in self.labels if label not in self.entry.labels]
        if alien:
            raise UsageError(
                f"Metric {self.metric} has no label {alien[0]!r}.",
                hint=f"It has {', '.join(self.entry.labels) or 'none'}.",
            )

    @property
    def entry(self) -> Metric:
        """The catalogue's entry."""
        return BY_ID[self.metric]

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that are set."""
        names = ("projection", "op", "reason", "result")
        return {name: value for name in names if (value := getattr(self, name))}

    @property
    def name(self) -> str:
        """What is expected, in words."""
        labels = " ".join(f"{key}={value}" for key, value in self.labels.items())
        return f"{type(self).__name__.lower()} {self.metric} {labels}".strip()

    def check(self, observed: Observed) -> Finding:
        """Whether it came; NO_DATA when the worker cannot tell."""
        why = self._untold(observed)
        if why:
            return Finding(check=f"drill.{self.name}", state=State.NO_DATA, says=why)
        if self.entry.type is MetricType.COUNTER:
            return self._check_counter(observed)
        return self._check_gauge(observed)

    def _untold(self, observed: Observed) -> str:
        name = self.entry.name
        # Some workers expose a counter only once it counted: then it was 0 before.
        if not observed.fault.after.exposes(name, projection=self.projection):
            return f"Nobody exposes {name}; look at the worker's port."
        coarse = {**self.labels, "reason": COARSE}
        is_part = self.reason in BY_NAME and COARSE in BY_NAME[self.reason].also
        if is_part and observed.fault.increase(name, coarse):
            return f"{self.name}: the worker counts {COARSE} only, of which this is a part."
        return ""

    def _check_counter(self, observed: Observed) -> Finding:
        before = observed.baseline.increase(self.entry.name, self.labels)
        value = observed.fault.increase(self.entry.name, self.labels)
        expected = before * observed.fault.seconds / max(observed.baseline.seconds, 1e-9)
        state = self._judge(value, expected)
        says = (
            f"{self.name}: {value:g} {self.entry.unit} in {observed.fault.seconds:.1f} s, "
            f"{expected:.1f} expected from {before:g} in {observed.baseline.seconds:.1f} s before."
        )
        return self._finding(state, says, value)

    def _check_gauge(self, observed: Observed) -> Finding:
        before = observed.baseline.level(self.entry.name, self.labels)
        during = observed.fault.level(self.entry.name, self.labels)
        value, expected = during[1] - max(before), self.entry.floor
        state = self._judge_level(value, expected)
        says = (
            f"{self.name}: {during[1]:g} {self.entry.unit} at the end of the fault window, "
            f"at most {max(before):g} at the edges of the baseline (floor {expected:g})."
        )
        return self._finding(state, says, value)

    def _finding(self, state: State, says: str, value: float) -> Finding:
        return Finding(
            check=f"drill.{self.name}", state=state, says=says, value=value, unit=self.entry.unit
        )

    @abstractmethod
    def _judge(self, value: float, expected: float) -> State: ...

    @abstractmethod
    def _judge_level(self, value: float, floor: float) -> State: ...


def _met(holds: object) -> State:
    return State.OK if holds else State.BAD


@dataclass(frozen=True, slots=True)
class Rises(_Expected):
    """At least doubles, and by no less than `AT_LEAST` events (a gauge: by more than its floor)."""

    def _judge(self, value: float, expected: float) -> State:
        return _met(value >= 2 * expected and value - expected >= AT_LEAST)

    def _judge_level(self, value: float, floor: float) -> State:
        return _met(value > floor)


@dataclass(frozen=True, slots=True)
class Falls(_Expected):
    """At most half is left; NO_DATA when there was too little to fall from."""

    def _judge(self, value: float, expected: float) -> State:
        return State.NO_DATA if expected < AT_LEAST else _met(value <= expected / 2)

    def _judge_level(self, value: float, floor: float) -> State:
        return _met(value < -floor)


@dataclass(frozen=True, slots=True)
class Flat(_Expected):
    """Stays within chance of the baseline's rate; a counter that stood still must go on so.

    NO_DATA when so little was expected (18 events or fewer) that even none would be within chance.
    """

    def _judge(self, value: float, expected: float) -> State:
        chance = 3 * math.sqrt(expected) + 0.3 * expected
        if abs(value - expected) > chance:
            return State.BAD
        return State.NO_DATA if 0 < expected <= chance else State.OK

    def _judge_level(self, value: float, floor: float) -> State:
        return _met(abs(value) <= floor)


@dataclass(frozen=True, slots=True)
class Appears(_Expected):
    """Was not there in the baseline and is there now."""

    def _judge(self, value: float, expected: float) -> State:
        return _met(value > 0 and expected == 0)

    def _judge_level(self, value: float, floor: float) -> State:
        return _met(value > floor)


@dataclass(frozen=True, slots=True)
class Absent(_Expected):
    """Does not happen at all."""

    def _judge(self, value: float, expected: float) -> State:
        return _met(value == 0)

    def _judge_level(self, value: float, floor: float) -> State:
        return _met(value <= floor)
