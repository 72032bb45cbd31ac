"""The onset is when metrics first left what the baseline knows; nothing moved, no onset."""

from __future__ import annotations

import pytest

from loomtriage.case import open_case
from loomtriage.stages.narrowing import measure_case, onset

MOVES = ("es_down", "db_contention", "collector_down", "slow_es", "es_poison_4xx")


def of(example: str):
    """The case of an example and its onset."""
    case = open_case("narrow", source=f"example:{example}")
    return case, onset(measure_case(case), case)


@pytest.mark.parametrize("example", MOVES)
def test_it_lies_in_the_window(example):
    """Retries, refusals, lost exports or a gauge alone: each has a first sample."""
    case, began = of(example)
    assert began is not None
    assert began in case.window


@pytest.mark.parametrize("example", ["placebo", "projection_version"])
def test_a_system_that_goes_on_has_none(example):
    """Work alone is no sign of trouble, nor is a version that no metric shows."""
    assert of(example)[1] is None
