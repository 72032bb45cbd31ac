"""Steps: own time, what slowed down, and what was lost on the way between services."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loomtriage.analysis.steps.calls import NETWORK
from loomtriage.analysis.steps.clocks import aligned, skews
from loomtriage.analysis.steps.rank_sum import rank_sum
from loomtriage.analysis.steps.ranking import compare, slowest
from loomtriage.analysis.steps.self_time import self_time
from tests.make import span, spans


@pytest.mark.parametrize(
    ("children", "own"),
    [
        pytest.param([], 1.0, id="no child"),
        pytest.param([(0.1, 0.4), (0.3, 0.4)], 0.4, id="children overlap"),
        pytest.param([(0.1, 0.8), (0.2, 0.1)], 0.2, id="a child within a child"),
        pytest.param([(0.9, 5.0)], 0.9, id="runs on after its parent"),
        pytest.param([(-3.0, 3.5)], 0.5, id="begins before its parent"),
        pytest.param([(2.0, 1.0)], 1.0, id="begins after its parent ended"),
        pytest.param([(0.1, -0.4)], 1.0, id="negative duration"),
        pytest.param([(0.1, float("nan"))], 1.0, id="no duration"),
        pytest.param([(0.0, 1.0), (0.0, 1.0)], 0.0, id="nothing left"),
    ],
)
def test_own_time_subtracts_the_union_of_children(children, own):
    """Children are clipped to their parent, overlaps are subtracted once, nothing below zero."""
    table = spans(
        span("t", "a", "parent", duration_s=1.0),
        *[
            span("t", f"c{i}", "child", parent="a", start=40.0 + start, duration_s=length)
            for i, (start, length) in enumerate(children)
        ],
    )
    assert self_time(table).iloc[0] == pytest.approx(own)


def test_a_repeated_span_is_counted_once():
    """The second of two spans with the same ids has no time of its own and hides no parent's."""
    table = spans(
        span("t", "a", "parent", duration_s=1.0),
        span("t", "b", "child", parent="a", duration_s=0.4),
        span("t", "b", "child", parent="a", duration_s=0.4),
    )
    assert self_time(table).tolist() == pytest.approx([0.6, 0.4, np.nan], nan_ok=True)
    assert [step.calls for step in compare(table, spans())] == [1, 1]


def work(count: int, *, first: int = 0, **lengths: float) -> pd.DataFrame:
    """Traces of batch › row › (query, put) with jitter; lengths in seconds by operation."""
    usual = {"query": 0.01, "put": 0.02, "row": 0.005} | lengths
    rng = np.random.default_rng(first)
    rows = []
    for i in range(first, first + count):
        query, put, row = (usual[k] * rng.uniform(0.8, 1.2) for k in ("query", "put", "row"))
        rows += [
            span(f"t{i}", "a", "batch", duration_s=query + put + row + 0.002),
            span(f"t{i}", "b", "row", parent="a", duration_s=query + put + row),
            span(f"t{i}", "c", "query", parent="b", duration_s=query),
            span(f"t{i}", "d", "put", parent="b", start=40.0 + query, duration_s=put),
        ]
    return spans(*rows)


@pytest.mark.parametrize(
    ("lengths", "named"),
    [
        pytest.param({"put": 0.2}, "put", id="a client call"),
        pytest.param({"query": 0.03}, "query", id="three times a short one"),
        pytest.param({"row": 0.05}, "row", id="the step itself, not its children"),
        pytest.param({}, "", id="control: nothing slower"),
        pytest.param({"put": 0.002}, "", id="control: faster"),
        pytest.param({"query": 0.012}, "", id="control: too little to matter"),
    ],
)
def test_a_slower_step_is_named_without_any_error(lengths, named):
    """The step that added the time is named, not the parents that wait for it."""
    step = slowest(compare(work(30, **lengths), work(40, first=500)))
    assert (step.operation if step else "") == named


def test_what_a_slower_step_reports():
    """Share of the added time, medians on both sides, and the effect size."""
    pace = slowest(compare(work(30, put=0.2), work(40, first=500))).pace
    assert pace.share > 0.9
    assert pace.effect == 1.0
    assert pace.median_s == pytest.approx(0.2, rel=0.1)
    assert pace.median_before_s == pytest.approx(0.02, rel=0.1)
    assert pace.excess_s == pytest.approx(0.18, rel=0.1)


def test_a_single_outlier_is_no_slower_step():
    """One call of a minute lifts the mean and nothing else."""
    now = work(30)
    now.loc[now.index[now["operation"] == "put"][0], "duration_s"] = 60.0
    assert slowest(compare(now, work(40, first=500))) is None


@pytest.mark.parametrize("calls", [1, 5])
def test_a_handful_of_calls_proves_nothing(calls):
    """Six calls on either side are the floor."""
    assert slowest(compare(work(calls, put=0.5), work(40, first=500))) is None


def remote(count: int, *, gap_s: float, first: int = 0) -> pd.DataFrame:
    """A client span over a server span of another service, whose clock is an hour behind."""
    rows = []
    for i in range(first, first + count):
        wait = gap_s * (1 + (i % 7) / 50)
        rows += [
            span(f"t{i}", "a", "PUT", kind="client", duration_s=0.02 + wait),
            span(f"t{i}", "b", "PUT /doc", parent="a", kind="server", service="index",
                 start=40.0 - 3600.0, duration_s=0.02),
        ]  # fmt: skip
    return spans(*rows)


@pytest.mark.parametrize(("gap_s", "named"), [(0.3, f"index › {NETWORK}"), (0.001, "None")])
def test_the_gap_between_client_and_server_is_the_network_of_the_server(gap_s, named):
    """By durations alone, as clocks may disagree; neither client nor server is slower."""
    step = slowest(compare(remote(20, gap_s=gap_s), remote(20, gap_s=0.001, first=100)))
    assert str(step) == named


def test_clocks_that_disagree_are_named_and_only_the_drawing_is_shifted():
    """The early service moves into its caller, with all that hangs below; numbers stay."""
    trace = spans(
        span("t", "a", "PUT", duration_s=1.0),
        span("t", "b", "doc", parent="a", service="index", start=37.0, duration_s=0.4),
        span("t", "c", "disk", parent="b", service="index", start=37.1, duration_s=0.1),
    )
    (skew,) = skews(trace)
    assert (skew.service, skew.spans, skew.n, skew.most_s) == ("index", 1, 1, 3.0)
    drawn = (aligned(trace)["start"] - trace["start"].iloc[0]).dt.total_seconds()
    assert drawn.tolist() == pytest.approx([0.0, 0.3, 0.4])
    assert self_time(trace).tolist() == pytest.approx([1.0, 0.3, 0.1])
    assert skews(trace.iloc[:1]) == ()
    assert aligned(trace.iloc[[1, 2]]).equals(trace.iloc[[1, 2]])


@pytest.mark.parametrize(
    ("first", "second", "effect"),
    [
        ([5.0, 6.0, 7.0], [1.0, 2.0, 3.0], 1.0),
        ([1.0, 2.0, 3.0], [5.0, 6.0, 7.0], -1.0),
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 0.0),
        ([1.0, 1.0], [1.0, 1.0], 0.0),
        ([2.0, 2.0], [1.0, 3.0], 0.0),
        ([], [1.0], 0.0),
    ],
)
def test_cliffs_delta_by_hand(first, second, effect):
    """Wins minus losses over all pairs."""
    found = rank_sum(np.array(first), np.array(second))
    assert found.effect == pytest.approx(effect)
    assert np.sign(round(found.z, 9)) == np.sign(effect)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=30),
    st.lists(st.integers(0, 5), min_size=1, max_size=30),
)
def test_rank_sum_agrees_with_counting_pairs(first, second):
    """Ties included."""
    pairs = [np.sign(a - b) for a in first for b in second]
    found = rank_sum(np.array(first, dtype=float), np.array(second, dtype=float))
    assert found.effect == pytest.approx(np.mean(pairs))
    assert abs(found.z) <= len(first) + len(second)
