"""Signed G², its gate and the exposure."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomtriage.analysis.counters.increases import measure
from loomtriage.analysis.surprise import exposure, gate, signed_g2
from tests.make import BASELINE, WINDOW, column, metrics, ramp

counts = st.integers(0, 100_000)
ratios = st.floats(0.01, 100)

# 2·[a·ln(a/(t·p)) + b·ln(b/(t·(1-p)))], a and b with 0.5 added
TABLE = [
    # 41.5·ln(41.5/22) + 2.5·ln(2.5/22) = 26.34 - 5.44; times 2
    (41, 2, 1.0, 41.80),
    # 2.5·ln(2.5/22) + 41.5·ln(41.5/22), the same the other way round
    (2, 41, 1.0, -41.80),
    # 10.5 of 21 on both sides
    (10, 10, 1.0, 0.0),
]


@pytest.mark.parametrize(("observed", "baseline", "ratio", "expected"), TABLE)
def test_g2_equals_the_arithmetic_by_hand(observed, baseline, ratio, expected):
    """The formula is the two-rate Poisson likelihood ratio, with its sign."""
    assert signed_g2(observed, baseline, exposure=ratio) == pytest.approx(expected, abs=0.05)


@given(counts, counts, ratios)
def test_the_sign_says_whether_more_or_less_was_seen(observed, baseline, ratio):
    """Positive above expectation, negative below, never NaN."""
    value = signed_g2(observed, baseline, exposure=ratio)
    assert math.isfinite(value)
    if value:
        assert (value > 0) == (observed >= ratio * baseline)


@given(st.integers(10, 10_000), ratios)
def test_the_same_rate_is_no_surprise(baseline, ratio):
    """Twice the traffic with twice the events stays below any gate."""
    assert abs(signed_g2(baseline * ratio, baseline, exposure=ratio)) < gate(1)


def test_the_gate_is_the_published_one():
    """χ²₁ at 0.05/367 is about 14.6."""
    assert gate(367) == pytest.approx(14.6, abs=0.1)


def measured(series):
    increases = measure(metrics(series), window=WINDOW, baseline=BASELINE)
    return exposure(increases, window=WINDOW, baseline=BASELINE)


def test_exposure_falls_back_to_the_enqueue_rate_when_nothing_is_healthy():
    """With Elasticsearch down nothing is finished; what was enqueued still tells the load."""
    made = column("produced", projection="")
    found = measured({made: ramp(60, 60), column("processed", op="upsert"): ramp(60, 0)})
    assert found.measured_by == "rows enqueued"
    assert found.ratio == pytest.approx(1.0, abs=0.1)


def test_exposure_falls_back_to_time_and_says_so():
    """Without any work the only yardstick is the clock."""
    assert (
        measured({column("retry_scheduled", op="upsert", reason="x"): ramp(0, 9)}).measured_by
        == "time"
    )


def test_there_is_no_exposure_without_a_baseline():
    """Nothing to compare with is not a ratio of one."""
    increases = measure(metrics({column("processed"): ramp(1, 1)}), window=WINDOW, baseline=None)
    assert exposure(increases, window=WINDOW, baseline=None) is None
