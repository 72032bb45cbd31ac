"""What narrow's charts are drawn of."""

from __future__ import annotations

import pandas as pd

from loomtriage.case import open_case
from loomtriage.stages.narrow_show import narrow_charts, whole
from loomtriage.stages.narrowing import measure_case
from tests.make import T0

NONE = float("nan")


def counters(**values):
    """One column a target, a sample a second."""
    index = pd.date_range(T0, periods=len(next(iter(values.values()))), freq="1s")
    return pd.DataFrame(values, index=index)


def test_target_that_is_scraped_a_moment_later_makes_no_jump():
    """Two long-lived counters that stand still sum up to a flat line."""
    total = whole(counters(a=[7, 7, 7, 7], b=[NONE, 400, NONE, 400])).sum(axis=1)
    assert total.to_list() == [407.0] * 4


def test_series_that_appears_later_is_born_at_zero():
    """A reason that was never counted before rises from nothing, and an empty column is nothing."""
    total = whole(counters(a=[7, 7, 7, 7], b=[NONE, NONE, NONE, 3], c=[NONE] * 4)).sum(axis=1)
    assert total.to_list() == [7.0, 7.0, 7.0, 10.0]


def test_attempts_are_drawn_by_projection():
    """Two projections that finish rows are two curves, not their sum."""
    case = open_case("narrow", source="example:duplicate_delivery")
    said = narrow_charts(case, measure_case(case))[0].alt
    for name in ("search_index_to_elastic", "chronicle_events_to_entries"):
        assert f"{name} +" in said
