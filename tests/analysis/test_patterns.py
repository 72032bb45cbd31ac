"""Label patterns: minimal, ranked, residual."""

from __future__ import annotations

import pandas as pd
import pytest

from loomtriage.analysis.increases import LEAF_KEYS
from loomtriage.analysis.patterns import rank

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
