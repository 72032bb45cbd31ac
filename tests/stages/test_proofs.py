"""Proofs: few lines that tell a cause are shown as well as many, and as evidence that resolves."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from loomtriage.case import open_case
from loomtriage.model import State
from loomtriage.stages.conclude import conclude
from loomtriage.stages.narrow import _reclaimed, narrow
from loomtriage.stages.narrowing import measure_case
from loomtriage.stages.preflight_tracing import Tracing, tracing_findings
from loomtriage.stages.proofs import crashes, in_words, telling_lines
from loomtriage.stages.result import longer
from tests.analysis.causes.test_causes import QUIET
from tests.make import line, lines, span, spans
from tests.stages.test_preflight import API, WORKER, _found
from tests.stages.whole import verdict_of

RECLAIM = line(
    "outbox.reclaimed",
    event="outbox.reclaimed",
    level="WARNING",
    fields={"reason": "lease_expired", "count": 2, "previous_owner": "worker-1"},
)
NOOP = line("outbox.row_done", event="outbox.row_done", fields={"noop": "es_404"})
CRASH = line(
    "UnboundLocalError: cannot access local variable",
    event="uncaught_exception",
    level="CRITICAL",
)


def evidence(source: str) -> list[tuple[str, str]]:
    return [(one["kind"], one["says"]) for one in verdict_of(source)["evidence"]]


def test_a_single_reclaim_proves_and_names_the_owner():
    """Two rows in one line are no surprising number, and still what happened."""
    (found,) = telling_lines(["stuck_reclaim"], lines(NOOP, RECLAIM))
    assert "lease_expired, rows: 2, owner was worker-1" in in_words(found)
    told = evidence("example:stuck_reclaim")
    assert any(kind == "log_line" and "owner was worker-1" in says for kind, says in told)
    assert any(kind == "metric_delta" and "is down" in says for kind, says in told)


def test_a_repeat_is_shown_with_its_row_and_trace():
    """What came twice can be looked up in every signal."""
    kinds = {kind for kind, _ in evidence("example:duplicate_delivery")}
    assert {"log_line", "row", "trace"} <= kinds


def test_lines_prove_no_cause_that_nobody_named():
    """Control: a reclaim is no proof of an outage."""
    assert telling_lines(["es_down"], lines(RECLAIM, NOOP)) == []


def test_a_process_that_an_exception_ended_is_bad():
    """Nothing that still runs says so; the log's last words do."""
    case = open_case("explain", source="example:placebo")
    (found,) = crashes(case, lines(NOOP, CRASH))
    assert found.state is State.BAD
    assert "UnboundLocalError" in found.says
    assert found.evidence[0].kind == "log_line"
    assert crashes(case, lines(NOOP, RECLAIM)) == ()


def test_a_crash_is_no_health_and_no_cause():
    """Where no rule knows the cause it is a doubt; beside one that is known it is told."""
    died = replace(QUIET, crashes=("worker.log ends with an uncaught KeyError: 'x' (line 3)",))
    case = open_case("explain", source="example:placebo")
    narrowing = measure_case(case)
    found = conclude(case, narrowing, died, (), legs=())
    assert (found["cause"], found["doubts"]) == ("unknown", ["crash"])
    assert "KeyError" in str(found["headline"])
    found = conclude(case, narrowing, QUIET, (), legs=())
    assert (found["cause"], found["doubts"]) == ("none", [])


def test_narrow_speaks_of_claims_that_ran_out_beside_a_quiet_pattern():
    """No label pattern shows two of them, and a quiet system has none."""
    told = replace(open_case("narrow", source="example:stuck_reclaim"), pictures=False)
    assert re.search(
        r"outbox_reclaimed_total rose by \d+, none in the baseline", narrow(told).verdict.headline
    )
    (alone,) = _reclaimed(replace(measure_case(told), exposure=None))
    assert re.search(r"rose by \d+: claims", alone.says)
    quiet = replace(open_case("narrow", source="example:placebo"), pictures=False)
    assert not [f for f in narrow(quiet).verdict.findings if f.check == "narrow.reclaimed"]


@pytest.mark.parametrize(
    "error",
    [
        "context deadline exceeded",
        "dial tcp: i/o timeout",
        "lookup db on 10.0.0.2:53: i/o timeout",
        "connect: connection timed out",
    ],
)
def test_a_target_that_does_not_answer_hangs_or_is_out_of_reach(error):
    """Nothing tells a process that hangs from a host that cannot be reached: both are said."""
    silent = ("wordloom-worker-dev", "h:9109", "down", error)
    (one,) = [t for t in _found(API, WORKER, silent) if not t.is_up]
    assert "hangs" in one.fix
    assert "address and network" in one.fix
    assert "takes connections" not in one.fix
    assert ("prometheus.yml" in one.fix) is (error != "context deadline exceeded")


def test_what_harms_stands_before_what_is_only_dark():
    """Lost spans harm nothing; rows that wait do."""
    verdict = verdict_of("example:stuck_in_the_dark")
    assert (verdict["cause"], verdict["also"]) == ("stuck_reclaim", ["collector_down"])


def test_a_warning_says_why_it_is_only_one():
    """A named cause without the counts to carry it says that it stands on agreement."""
    assert "few events" in verdict_of("example:stuck_reclaim")["headline"]
    assert "few events" not in verdict_of("example:es_down")["headline"]


def test_spans_of_more_attempts_than_counters_saw_are_no_share_above_one():
    """Scrapes date the counters: at the edges spans may know more."""
    told = Tracing(
        is_off=False, lost="", clocks="", sampler="", attempts=183.0, rows=194, is_truncated=False
    )
    (found,) = tracing_findings(spans(span("t", "s", "PUT")), told)
    assert "all 183 attempts, and of 11 more" in found.says


def test_nobody_is_told_to_give_a_baseline_that_cannot_be_had():
    """A run of the labs has three scrapes and nothing from before."""
    case = open_case("narrow", source="example:placebo")
    assert "baseline" in longer(case)
    assert "baseline" not in longer(replace(case, source="labs:x"))
