"""Series: the raw samples of one label set, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COUNTER_ENDINGS = ("_total", "_count", "_sum", "_bucket")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series as a source gave it.

    Attributes:
        labels: with `__name__`.
        times: unix milliseconds of its points (int64).
        values: one a point (float64); NaN is no value.
    """

    labels: Mapping[str, str]
    times: NDArray[np.int64]
    values: NDArray[np.float64]

    @property
    def is_counter(self) -> bool:
        """Whether its name says that it only grows."""
        return self.labels.get("__name__", "").endswith(COUNTER_ENDINGS)

    def within(self, start: int, end: int) -> Series:
        """Its points in `[start, end)` milliseconds, ascending; of a repeated time the last."""
        rising = bool((self.times[1:] > self.times[:-1]).all())
        if rising and len(self.times) and start <= self.times[0] and self.times[-1] < end:
            return self
        inside = (self.times >= start) & (self.times < end)
        times, values = self.times[inside], self.values[inside]
        if not rising:
            order = np.argsort(times, kind="stable")
            times, values = times[order], values[order]
            last = np.append(np.diff(times) > 0, [True])
            times, values = times[last], values[last]
        return Series(labels=self.labels, times=times, values=values)

    def on(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """Its values on ascending times that hold all of its own; NaN where it has none."""
        if len(times) == len(self.times):
            return self.values
        found = np.full(len(times), np.nan)
        found[np.searchsorted(times, self.times)] = self.values
        return found
