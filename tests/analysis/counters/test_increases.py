"""Counter increases: resets, newborn series and windows."""

from __future__ import annotations

import pytest

from loomtriage.analysis.counters.increases import leaves, measure
from tests.make import BASELINE, WINDOW, column, metrics, ramp

DONE = column("processed", op="upsert")
RETRY = column("retry_scheduled", op="upsert", reason="es_unreachable")


def total(frame, metric: str) -> tuple[float, float]:
    increases = measure(frame, window=WINDOW, baseline=BASELINE)
    observed, before = increases.total(metric)
    return round(observed, 6), round(before, 6)


def test_growth_is_split_between_baseline_and_window():
    """What a counter gained before the window counts as baseline, the rest as observed."""
    observed, before = total(metrics({DONE: ramp(60, 30)}), "processed")
    assert observed == pytest.approx(31, abs=2)
    assert before == pytest.approx(58, abs=2)


def test_a_restart_never_makes_a_negative_increase():
    """A counter that falls was reset: the value after it counts from zero."""
    values = [100.0] * 40 + [0.0, 3.0, 5.0] + [5.0] * 17
    frame = metrics({DONE: values})
    assert total(frame, "processed") == (5.0, 0.0)
    assert "reset" in " ".join(measure(frame, window=WINDOW, baseline=BASELINE).caveats)


def test_a_series_born_in_the_window_counts_from_its_first_value():
    """Client libraries create a labelled series on first use, so its first value is growth."""
    frame = metrics({DONE: ramp(60, 30), RETRY: [None] * 40 + [4.0, 7.0] + [7.0] * 18})
    assert total(frame, "retry_scheduled") == (7.0, 0.0)


def test_a_series_that_was_there_from_the_start_does_not_count_its_past():
    """An old counter's absolute value is no increase."""
    frame = metrics({RETRY: [500.0] * 60})
    assert total(frame, "retry_scheduled") == (0.0, 0.0)


def test_a_first_value_after_downtime_is_not_counted_and_said():
    """Absent is zero only while the target was up."""
    up = [0.0] * 40 + [1.0] * 20
    frame = metrics({column("up"): up, RETRY: [None] * 40 + [50.0] * 20})
    assert total(frame, "retry_scheduled") == (0.0, 0.0)
    assert "down" in " ".join(measure(frame, window=WINDOW, baseline=BASELINE).caveats)


def test_two_instances_are_diffed_each_and_then_summed():
    """Raw sums are never diffed: one instance's restart must not hide the other's growth."""
    other = column("processed", op="upsert", instance="w2")
    frame = metrics({DONE: [10.0] * 35 + [0.0] * 25, other: ramp(0, 30)})
    assert total(frame, "processed")[0] == pytest.approx(29, abs=1)


def test_leaves_leave_out_the_sum_metric():
    """`outbox_failed_total` is retry plus terminal; counting it too would double every failure."""
    failed = column("failed", op="upsert", reason="es_unreachable")
    frame = metrics({DONE: ramp(60, 30), RETRY: ramp(0, 20), failed: ramp(0, 20)})
    table = leaves(measure(frame, window=WINDOW, baseline=BASELINE))
    assert sorted(table["result"]) == ["ok", "retry"]


def test_no_series_means_an_empty_table_not_zero_rows_of_zero():
    """An empty frame has nothing to say."""
    from loomtriage.model import Frame, Kind
    from tests.make import origin

    increases = measure(
        Frame.empty(Kind.METRICS, origin(), missing="refused"), window=WINDOW, baseline=BASELINE
    )
    assert increases.samples == 0
    assert leaves(increases).empty


def test_a_target_scraped_a_moment_later_does_not_count_its_past():
    """Each target has its own scrape offset: only what came after its own first sample is new."""
    other = column("processed", op="upsert", instance="w2")
    frame = metrics({DONE: [5.0] * 60, other: [None, *[1_000_000.0] * 59]})
    assert total(frame, "processed") == (0.0, 0.0)
