"""Steps: tables that nobody would write down, and the benchmark's two sides."""

from __future__ import annotations

import importlib.util
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loomtriage.analysis.steps.absent_children import absences
from loomtriage.analysis.steps.calls import tally
from loomtriage.analysis.steps.clocks import aligned, skews
from loomtriage.analysis.steps.example_traces import example_traces
from loomtriage.analysis.steps.forest import grow, nearest
from loomtriage.analysis.steps.ranking import compare, deepest, slowest
from loomtriage.analysis.steps.self_time import self_time
from tests.make import span, spans

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "trace_steps.py"
IDS = st.sampled_from(["", "a", "b", "c", "d", "e"])
LENGTHS = st.one_of(
    st.floats(-1e3, 1e3), st.sampled_from([0.0, float("nan"), float("inf"), -float("inf"), 1e300])
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        ("result", "wordloom.outbox_event_id", "wordloom.outbox.id", "wordloom.claim_batch_id")
    ),
    st.sampled_from(["", "ok", "retry", "e1", "e2", 0, 3, -1, None, True, ["x"], {"y": 1}]),
    max_size=3,
)


@st.composite
def tables(draw):
    """Repeated ids, circles, lost parents, disagreeing clocks, impossible durations."""
    rows = draw(
        st.lists(
            st.tuples(
                IDS, IDS, IDS, st.sampled_from(["s", "r", ""]), st.sampled_from(["x", "y"]),
                st.sampled_from(["client", "server", "internal"]), st.floats(-1e5, 1e5), LENGTHS,
                st.booleans(), ATTRIBUTES,
            ),
            max_size=25,
        )
    )  # fmt: skip
    return spans(
        *[
            span(t, own, operation, parent=parent, service=service, kind=kind, start=start,
                 duration_s=length, error=error, attributes=attributes)
            for t, own, parent, service, operation, kind, start, length, error, attributes in rows
        ]
    )  # fmt: skip


@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],  # a table is small enough to read unshrunk
)
@given(tables(), tables())
def test_no_table_breaks_the_comparison(now, before):
    """Numbers stay finite and in their bounds, whatever a trace store answers."""
    own = self_time(now).dropna() if len(now) else pd.Series(dtype="float64")
    assert (own >= 0).all()
    assert np.isfinite(own).all()
    steps = compare(now, before)
    for step in steps:
        assert 0 <= step.errors <= step.calls <= step.attempts
        assert np.isfinite([step.g2, step.pace.excess_s, step.pace.effect]).all()
        assert 0 <= step.pace.share <= 1.0000001
    named = deepest(steps)
    assert (named is not None) is any(step.passes for step in steps)
    assert absences(tally(now), tally(before)) is not None
    found = example_traces(now, before, named or slowest(steps))
    assert set(found.changed) <= set(now["trace_id"])
    assert len(skews(now)) <= now["service"].nunique()
    assert len(aligned(now)) <= len(now)


@st.composite
def nested(draw):
    """A trace whose children follow one another inside their parent."""
    rows, open_ = [], [("", 0.0, 64.0)]
    for number in range(draw(st.integers(1, 20))):
        place = draw(st.integers(0, len(open_) - 1))
        parent, start, length = open_.pop(place)
        share = draw(st.floats(0.1, 1.0))
        own = f"n{number}"
        rows.append(span("t", own, "x", parent=parent, start=start, duration_s=length * share))
        # The first half is for its own children; what it leaves is for its next sibling.
        open_.append((own, start, length * share / 2))
        if parent:
            open_.append((parent, start + length * share, length * (1 - share)))
        if not parent:
            root = length * share
    return spans(*rows), root


@settings(deadline=None, max_examples=25)
@given(nested())
def test_own_times_of_a_nested_trace_add_up_to_its_root(case):
    """Nothing is counted twice and nothing is lost."""
    table, root = case
    assert self_time(table).sum() == pytest.approx(root, abs=1e-4)  # starts are microseconds


def test_the_order_of_the_table_changes_nothing():
    """Rows may come in any order, as they do from a search."""
    rows = [
        row
        for i in range(12)
        for row in (
            span(f"t{i}", "a", "row", duration_s=0.1 + i / 100),
            span(f"t{i}", "b", "PUT", parent="a", duration_s=0.05, error=i % 2 == 0),
        )
    ]
    table = spans(*rows)
    mixed = table.sample(frac=1.0, random_state=3)
    assert compare(mixed, spans()) == compare(table, spans())
    assert self_time(mixed).sort_index().tolist() == pytest.approx(self_time(table).tolist())


def test_a_chain_of_any_depth_and_a_circle_end():
    """Ancestors are found in doubling steps, and a circle has none."""
    depth = 5000
    chain = spans(*[span("t", f"{i}", "x", parent=f"{i - 1}" if i else "") for i in range(depth)])
    label = np.full(depth, -1)
    label[0] = 7
    assert (nearest(label, grow(chain).parent) == 7).all()
    circle = spans(span("t", "a", "x", parent="b"), span("t", "b", "x", parent="a"))
    assert nearest(np.array([-1, -1]), grow(circle).parent).tolist() == [-1, -1]


def test_memory_stays_in_proportion_to_the_table():
    """Half a kilobyte a span at most, so that a million spans fit beside their table."""
    bench = _benchmark()
    table = bench.make(1000, seed=5, faulty=True)
    tracemalloc.start()
    compare(table, table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / len(table) < 600


def test_the_benchmark_compares_two_sides_that_agree():
    """The vectorised answer is the plain one's, number by number."""
    bench = _benchmark()
    before, now = (bench.make(60, seed=s, faulty=s == 2) for s in (1, 2))
    assert bench.told(compare(now, before)) == bench.plain(now, before)
    assert deepest(compare(now, before)).operation == "PUT /doc"
    assert slowest(compare(now, before)).operation == "UPDATE"
    assert len(now) == 60 * 20


def _benchmark():
    spec = importlib.util.spec_from_file_location("trace_steps", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
