"""The decision list: each cause from its facts, and its look-alike rejected."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loomtriage.analysis.causes import RULES, decide
from loomtriage.analysis.facts import Blame, Facts
from loomtriage.contract.causes import BY_ID

QUIET = Facts(
    blames=(),
    processed=(100.0, 100.0),
    extra={},
    bulk={},
    statuses={},
    without_status=0,
    error_classes={},
    traces=50,
    lines=50,
    exporter_lost=0,
    stuck=0.0,
)


def blame(reason: str, result: str = "retry", count: float = 60.0) -> Blame:
    return Blame(reason=reason, result=result, observed=count, expected=0.0, strong=count >= 6)


TABLE = [
    ({"blames": (blame("es_unreachable"),), "without_status": 60}, "es_down"),
    ({"blames": (blame("rate_limited"),), "statuses": {429: 60}}, "es_429"),
    ({"blames": (blame("mapping_conflict", "failed"),), "statuses": {400: 9}}, "es_poison_4xx"),
    ({"blames": (blame("es_write_blocked", "failed"),), "statuses": {403: 9}}, "es_write_block"),
    (
        {"blames": (blame("mapping_conflict", "failed"),), "bulk": {"partial": 9.0}},
        "es_bulk_partial",
    ),
    ({"extra": {"owner_mismatch": (9.0, 0.0)}}, "db_contention"),
    ({"extra": {"reclaimed": (9.0, 0.0)}}, "stuck_reclaim"),
    ({"exporter_lost": 3, "traces": 0}, "collector_down"),
]


@pytest.mark.parametrize(("facts", "cause"), TABLE, ids=[row[1] for row in TABLE])
def test_each_signature_names_its_cause_and_no_other(facts, cause):
    """The matrix of signatures and causes is diagonal."""
    assert [c.cause for c in decide(replace(QUIET, **facts))] == [cause]


def test_quiet_facts_name_nothing():
    """The negative control: no signature, no cause."""
    assert decide(QUIET) == ()


def test_a_reason_outside_the_contract_names_nothing():
    """Unknown values are reported by the stage, never guessed by a rule."""
    assert decide(replace(QUIET, blames=(blame("es_weird"),))) == ()


def test_an_ambiguous_4xx_is_not_guessed():
    """Without a status nobody can tell a mapping conflict from a write block."""
    assert decide(replace(QUIET, blames=(blame("es_4xx", "failed"),))) == ()


def test_a_collector_that_is_gone_is_not_named_while_work_fails():
    """Lost spans beside failing rows are a second matter, not the cause."""
    facts = replace(QUIET, exporter_lost=3, traces=0, blames=(blame("es_unreachable"),))
    assert [c.cause for c in decide(facts)] == ["es_down"]


def test_two_faults_are_both_named_the_larger_first():
    """The single-fault assumption is not ours."""
    facts = replace(
        QUIET, blames=(blame("rate_limited", count=90), blame("mapping_conflict", "failed", 20))
    )
    assert [c.cause for c in decide(facts)] == ["es_429", "es_poison_4xx"]


def test_every_rule_names_a_cause_of_the_contract():
    """A rule cannot invent an id."""
    named = {c.cause for facts, _ in TABLE for c in decide(replace(QUIET, **facts))}
    assert named <= set(BY_ID)
    assert len(named) == len(RULES)


@pytest.mark.parametrize("metric", ["owner_mismatch", "reclaimed"])
def test_what_chance_explains_names_no_cause(metric):
    """A counter that is always busy is no fault when it is a little busier."""
    assert decide(replace(QUIET, extra={metric: (107.0, 100.0)})) == ()
    assert decide(replace(QUIET, extra={metric: (200.0, 100.0)})) != ()
