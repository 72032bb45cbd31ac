"""Label patterns: minimal, ranked, residual."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loomtriage.analysis.counters.increases import LEAF_KEYS
from loomtriage.analysis.counters.patterns import rank, strongest

SEARCH = "search_index_to_elastic"


def table(*rows: tuple[str, str, str, float, float]) -> pd.DataFrame:
    """op, reason, result, observed, baseline."""
    full = [("test", SEARCH, *row) for row in rows]
    return pd.DataFrame(full, columns=[*LEAF_KEYS, "observed", "baseline"])


def test_the_failing_reason_is_named_by_its_shortest_pattern():
    """`reason=…` implies `result=retry`, so the shorter set is printed and the scope holds both."""
    found = rank(
        table(("upsert", "none", "ok", 100, 100), ("upsert", "es_unreachable", "retry", 60, 0)),
        exposure=1.0,
    )
    assert str(found[0]) == "reason=es_unreachable"
    assert found[0].scope.as_json() == {
        "env": "test",
        "projection": SEARCH,
        "op": "upsert",
        "reason": "es_unreachable",
        "result": "retry",
    }


def test_a_fault_in_both_operations_leaves_op_open():
    """A pattern over several ops must not claim one of them."""
    found = rank(
        table(
            ("upsert", "none", "ok", 100, 100),
            ("delete", "none", "ok", 100, 100),
            ("upsert", "es_unreachable", "retry", 60, 0),
            ("delete", "es_unreachable", "retry", 60, 0),
        ),
        exposure=1.0,
    )
    assert found[0].scope.op == ""
    assert found[0].scope.reason == "es_unreachable"


@pytest.mark.parametrize("load", [0.5, 1.0, 2.0, 10.0])
def test_more_traffic_alone_is_no_pattern(load):
    """Everything scaled by the exposure stays below the gate."""
    leaves = table(
        ("upsert", "none", "ok", 400 * load, 400),
        ("delete", "rate_limited", "retry", 20 * load, 20),
    )
    assert rank(leaves, exposure=load) == ()


def test_two_faults_are_found_one_after_the_other():
    """What the first pattern leaves unexplained is asked again."""
    found = rank(
        table(
            ("upsert", "none", "ok", 500, 500),
            ("upsert", "rate_limited", "retry", 90, 0),
            ("delete", "none", "ok", 500, 500),
            ("delete", "mapping_conflict", "failed", 40, 0),
        ),
        exposure=1.0,
    )
    reasons = {p.scope.reason for p in found}
    assert {"rate_limited", "mapping_conflict"} <= reasons


def test_a_drop_is_found_too():
    """Work that stops is a pattern with a negative sign."""
    found = rank(table(("upsert", "none", "ok", 0, 200)), exposure=1.0)
    assert found[0].g2 < 0


def test_nothing_to_rank_gives_nothing():
    """An empty table has no suspects."""
    assert rank(table(), exposure=1.0) == ()


@pytest.mark.parametrize(
    ("row", "better"),
    [
        (("upsert", "none", "ok", 0, 200), False),
        (("upsert", "none", "ok", 200, 20), True),
        (("upsert", "rate_limited", "retry", 0, 200), True),
        (("upsert", "rate_limited", "retry", 200, 0), False),
    ],
)
def test_recovery_is_told_apart_from_damage(row, better):
    """Fewer failures or more finished work are news, but no damage."""
    assert rank(table(row), exposure=1.0)[0].better is better


@settings(deadline=None, max_examples=50)  # tests assert no times
@given(st.data())
def test_the_order_of_leaves_does_not_matter(data):
    """Rows shuffled, the same patterns in the same order."""
    counts = st.integers(0, 300)
    rows = [
        (op, reason, result, data.draw(counts), data.draw(counts))
        for op in ("upsert", "delete")
        for reason, result in (("none", "ok"), ("es_5xx", "retry"), ("es_4xx", "failed"))
    ]
    shuffled = data.draw(st.permutations(rows))
    once, twice = (rank(table(*some), exposure=0.5) for some in (rows, shuffled))
    assert [(p.labels, p.closed) for p in once] == [(p.labels, p.closed) for p in twice]


@pytest.mark.parametrize("scale", [1, 3, 10])
def test_the_strongest_pattern_does_not_depend_on_scale(scale):
    """More of everything in both windows names the same pattern, more surely."""
    leaves = table(
        ("upsert", "none", "ok", 400 * scale, 400 * scale),
        ("delete", "none", "ok", 400 * scale, 400 * scale),
        ("upsert", "es_5xx", "retry", 40 * scale, 4 * scale),
    )
    found = rank(leaves, exposure=1.0)
    assert str(found[0]) == "reason=es_5xx"
    assert found[0].g2 > 30 * scale


def test_other_keys_can_be_ranked():
    """The keys of the leaves are a parameter."""
    leaves = pd.DataFrame(
        [("a", "1", 90, 100), ("b", "1", 80, 2)],
        columns=["shop", "attempt", "observed", "baseline"],
    )
    assert str(rank(leaves, exposure=1.0, keys=("shop", "attempt"))[0]) == "shop=b"


def test_below_the_gate_the_strongest_is_shown_and_not_claimed():
    """`strongest` orders, `rank` claims."""
    leaves = table(("upsert", "none", "ok", 100, 100), ("upsert", "es_5xx", "retry", 3, 0))
    assert str(strongest(leaves, exposure=1.0)[0]) == "reason=es_5xx"
    assert rank(leaves, exposure=1.0) == ()


def test_the_benchmark_agrees_with_itself_at_a_small_size():
    """Ours, at a tenth of the size, beats the bare excess and stays near the published figure."""
    path = Path(__file__).parents[3] / "benchmarks" / "ac_at_1.py"
    spec = importlib.util.spec_from_file_location("ac_at_1", path)
    bench = importlib.util.module_from_spec(spec)
    sys.modules["ac_at_1"] = bench
    spec.loader.exec_module(bench)
    where = bench.world()
    assert (len(where.leaves), len(where.lattice)) == (156, 367)
    found = bench.measure(where, bench.CELLS[2], 10)
    assert found["ours"][0] > found["excess"][0]
    assert found["ours"][0] > 0.6
