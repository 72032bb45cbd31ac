"""A middle says how sure it is, and an interval covers what it says."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from loomtriage.train.spread import interval, mean, middle


def test_few_rounds_have_no_middle():
    """Below five rounds nobody is ranked; from five on the median comes with its interval."""
    assert middle([50, 60, 70]) == "2 more round(s)"
    assert middle([50, 60, 70, 80, 90]) == "70 (50 to 90)"
    assert middle([]) == mean([]) == "5 more round(s)"


@pytest.mark.parametrize(("n", "low", "high"), [(6, 1, 6), (9, 2, 8), (20, 6, 15), (50, 18, 33)])
def test_intervals_are_those_of_the_tables(n, low, high):
    """The ends are values of the ordered ones, as tables of the sign test give them."""
    assert interval(list(range(n, 0, -1))) == (low, high)


@pytest.mark.parametrize("n", [6, 7, 8, 12])
def test_intervals_cover_what_they_say(n):
    """The true median lies in 95 of 100 of them at least, also where rounds are few."""
    draws = np.random.default_rng(1).exponential(size=(4000, n))
    ends = [interval(list(map(float, one))) for one in draws]
    covered = sum(low <= np.log(2) <= high for low, high in ends) / len(ends)
    assert covered > 0.94


def test_a_mean_is_a_mean():
    """One large value moves it, and its interval holds it; the same values give the same."""
    told = mean([0.0, 0.0, 0.0, 0.0, 1.0], digits=2)
    assert told.startswith("0.20 (0.00 to ")
    assert told == mean([0.0, 0.0, 0.0, 0.0, 1.0], digits=2)


def test_what_did_not_come_is_late():
    """A moment that was not reached is longer than the limit, in the middle and at the ends."""
    assert middle([1, 2, 3, 4, inf]) == "3 (1 to > limit)"
    assert middle([1, 2, inf, inf, inf]) == "> limit (1 to > limit)"
    assert middle([1, 2, 3, inf, inf, inf]) == "> limit (1 to > limit)"
