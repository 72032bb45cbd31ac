"""The decision list: each cause from its facts, and its look-alike rejected."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loomtriage.analysis.causes.decide import RULES, decide
from loomtriage.analysis.causes.deliveries import Deliveries
from loomtriage.analysis.causes.facts import Facts
from loomtriage.analysis.causes.reasons import Blame
from loomtriage.analysis.causes.silence import Silence
from loomtriage.analysis.causes.statements import Voice
from loomtriage.contract.causes import BY_ID

QUIET = Facts(processed=(100.0, 100.0), traces=50, lines=50)


def blame(
    reason: str, result: str = "retry", count: float = 60.0, *, of: tuple[str, ...] = ()
) -> Blame:
    return Blame(
        reason=reason,
        result=result,
        observed=count,
        expected=0.0,
        strong=count >= 6,
        projections=of,
    )


def again(**counts: int) -> dict[str, object]:
    return {"again": Deliveries(**counts)}


TABLE = [
    ({"blames": (blame("es_unreachable"),), "spoken": Voice(without_status=60)}, "es_down"),
    ({"blames": (blame("es_timeout"),), "spoken": Voice(classes={"ReadTimeout": 9})}, "es_slow"),
    ({"blames": (blame("rate_limited"),), "spoken": Voice(statuses={429: 60})}, "es_429"),
    ({"blames": (blame("es_5xx"),), "spoken": Voice(statuses={503: 60})}, "es_5xx"),
    (
        {
            "blames": (blame("mapping_conflict", "failed"),),
            "written": Voice(statuses={400: 9}),
        },
        "es_poison_4xx",
    ),
    (
        {"blames": (blame("es_write_blocked", "failed"),), "spoken": Voice(statuses={403: 9})},
        "es_write_block",
    ),
    (
        {"blames": (blame("mapping_conflict", "failed"),), "bulk": {"partial": 9.0}},
        "es_bulk_partial",
    ),
    ({"blames": (blame("unknown_exception", of=("a",)),)}, "projection_code"),
    ({"blames": (blame("unknown_exception", of=("a", "b")),)}, "shared_dependency"),
    ({"extra": {"contention": (9.0, 0.0)}}, "db_contention"),
    ({"extra": {"reclaimed": (9.0, 0.0)}}, "stuck_reclaim"),
    ({"extra": {"idempotent_noop": (9.0, 0.0)}, **again(noops_in_spans=9)}, "duplicate_delivery"),
    (
        {"versions": {"logs": {"1": 9, "2": 9}}, "versions_before": {"logs": {"1": 9}}},
        "projection_version",
    ),
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


PAIRS = [
    (
        {"blames": (blame("rate_limited", count=90), blame("mapping_conflict", "failed", 20))},
        ["es_429", "es_poison_4xx"],
    ),
    (
        {"exporter_lost": 3, "traces": 0, "extra": {"reclaimed": (9.0, 0.0)}},
        ["stuck_reclaim", "collector_down"],
    ),
    (
        {"exporter_lost": 3, "traces": 0, "blames": (blame("es_unreachable"),)},
        ["es_down", "collector_down"],
    ),
]


@pytest.mark.parametrize(("facts", "causes"), PAIRS)
def test_two_faults_are_both_named_the_harmful_and_larger_first(facts, causes):
    """The single-fault assumption is not ours."""
    assert [c.cause for c in decide(replace(QUIET, **facts))] == causes


LOOK_ALIKES = [
    # Answers that get lost are written again; refused connections are not.
    ({"blames": (blame("es_request_error"),)}, ["duplicate_delivery"]),
    ({"blames": (blame("es_request_error"), blame("es_unreachable"))}, ["es_down"]),
    # A worker that wakes up after a reclaim finds its rows taken: that is no contention.
    ({"extra": {"reclaimed": (9.0, 0.0), "owner_mismatch": (5.0, 0.0)}}, ["stuck_reclaim"]),
    # Two workers that fight for rows leave a straggler to reclaim.
    (
        {"extra": {"owner_mismatch": (9.0, 0.0), "reclaimed": (1.0, 0.0)}},
        ["db_contention", "stuck_reclaim"],
    ),
    # Timeouts beside refused connections are one outage.
    ({"blames": (blame("es_unreachable"), blame("es_timeout"))}, ["es_down"]),
    # One version all along is no change of version; nor is a first sight of it.
    ({"versions": {"logs": {"2": 9}}, "versions_before": {"logs": {"2": 9}}}, []),
    ({"versions": {"logs": {"2": 9}}}, []),
    # An exporter that complained once while spans kept coming has recovered.
    ({"exporter_lost": 1, "traces": 50}, []),
    (
        {"exporter_lost": 1, "traces": 50, "quiet": Silence(seconds=9, rows=40, expected=30)},
        ["collector_down"],
    ),
    # Leases that ran out are a silent owner even where no counter says so; a few are no news.
    ({"expired": 6, "owners_live": False}, ["stuck_reclaim"]),
    ({"expired": 6}, ["stuck_reclaim"]),
    # An owner that goes on is slow: a lease that ended is then no cause, a reclaim still is.
    ({"expired": 60, "stuck": 60.0, "owners_live": True}, []),
    (
        {"expired": 60, "extra": {"reclaimed": (9.0, 0.0)}, "owners_live": True},
        ["stuck_reclaim"],
    ),
    ({"expired": 5}, []),
    (
        {"expired": 1, "written": Voice(reasons={"lease_expired": 1}), "stuck": 1.0},
        ["stuck_reclaim"],
    ),
    # Repeats, and rows that nobody counted as enqueued, are news only beyond the baseline's.
    (again(repeats=9), ["duplicate_delivery"]),
    ({**again(repeats=9), "again_before": Deliveries(repeats=9)}, []),
]


@pytest.mark.parametrize(("facts", "causes"), LOOK_ALIKES)
def test_look_alikes_are_told_apart(facts, causes):
    """Each pair differs by its discriminating signal and by nothing else."""
    assert [c.cause for c in decide(replace(QUIET, **facts))] == causes


def test_agreement_is_counted_by_signal():
    """A span without a status and a line with its error class are two legs beside the counter."""
    voices = {"spoken": Voice(without_status=2), "written": Voice(classes={"ConnectError": 2})}
    facts = replace(QUIET, blames=(blame("es_unreachable", count=2),), **voices)
    (found,) = decide(facts)
    assert found.legs == ("metrics", "traces", "logs")
    assert not found.strong
    (alone,) = decide(replace(facts, spoken=Voice(), written=Voice(classes={"KeyError": 2})))
    assert alone.legs == ("metrics",)


def test_the_projection_left_unharmed_rejects_what_both_share():
    """The control group: what both need cannot be what broke one."""
    facts = replace(QUIET, blames=(blame("rate_limited"),), unharmed=("chronicle",))
    assert any("chronicle finished rows unharmed" in text for text in decide(facts)[0].rejected)


def test_every_rule_names_a_cause_of_the_contract():
    """A rule cannot invent an id."""
    named = {c.cause for facts, _ in TABLE for c in decide(replace(QUIET, **facts))}
    assert named <= set(BY_ID)
    assert len(named) == len(RULES) - 1  # lost answers are duplicates too


@pytest.mark.parametrize("metric", ["owner_mismatch", "reclaimed"])
def test_what_chance_explains_names_no_cause(metric):
    """A counter that is always busy is no fault when it is a little busier."""
    assert decide(replace(QUIET, extra={metric: (107.0, 100.0)})) == ()
    assert decide(replace(QUIET, extra={metric: (200.0, 100.0)})) != ()


def test_a_span_that_missed_its_outcome_agrees_with_a_partial_bulk():
    """The complaint in the log is a second signal beside the counters, and only for that cause."""
    blamed = {"blames": (blame("es_4xx", "failed", 1.0),), "outcomes_lost": 5}
    named = decide(replace(QUIET, **blamed, bulk={"partial": 1.0}))[0]
    assert named.legs == ("metrics", "logs")
    alone = decide(replace(QUIET, **{**blamed, "outcomes_lost": 0}, bulk={"partial": 1.0}))[0]
    assert alone.legs == ("metrics",)
    assert decide(replace(QUIET, **blamed)) == ()


def test_one_refused_connection_among_many_timeouts_is_no_outage():
    """What most calls came to decides; and a few timeouts do not hide an outage."""
    few, many = blame("es_unreachable", count=1.0), blame("es_timeout", count=500.0)
    assert decide(replace(QUIET, blames=(few, many)))[0].cause == "es_slow"
    few, many = blame("es_timeout", count=1.0), blame("es_unreachable", count=500.0)
    assert decide(replace(QUIET, blames=(few, many)))[0].cause == "es_down"


def test_projections_that_fail_for_different_reasons_share_no_dependency():
    """429 here and an exception there are two faults, not one below both."""
    blames = (blame("rate_limited", of=("a",)), blame("unknown_exception", of=("b",)))
    assert {c.cause for c in decide(replace(QUIET, blames=blames))} == {"es_429", "projection_code"}


def test_without_counters_no_leg_of_metrics_is_claimed():
    """One line that names contention is one signal, not two."""
    told = Facts(
        blames=(blame("db_contention", count=1.0),), written=Voice(reasons={"db_contention": 1})
    )
    assert decide(told)[0].legs == ("logs",)


@pytest.mark.parametrize(
    ("made", "done", "surplus"),
    [
        ((50.0, 50.0), (100.0, 100.0), 0.0),  # the API counts one of two projections
        ((50.0, 50.0), (80.0, 50.0), 30.0),
        ((50.0, 80.0), (80.0, 50.0), 0.0),  # the baseline left thirty rows undone
        ((50.0, 0.0), (80.0, 0.0), 0.0),  # nothing to measure by
    ],
)
def test_a_surplus_of_finished_rows_is_what_the_baseline_did_not_have(made, done, surplus):
    """Each pair is (in the window, expected by the baseline)."""
    facts = replace(QUIET, processed=done, extra={"produced": made}, **again(repeats=9))
    because = "; ".join(decide(facts)[0].because)
    assert (f"{surplus:.0f} more rows finished than enqueued" in because) is (surplus > 0)
    assert ("enqueued" in because) is (surplus > 0)


def test_a_rule_that_breaks_leaves_the_others_their_say():
    """Whoever asks the rules decides what becomes of one that raises."""
    facts = replace(QUIET, blames=(blame("rate_limited"),))

    def ask(rule, asked):
        return None if rule.__name__ == "es_down" else rule(asked)

    assert [c.cause for c in decide(facts, ask=ask)] == ["es_429"]
