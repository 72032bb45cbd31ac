"""What a drill comes to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from loomtriage.analysis.joins import Coverage
from loomtriage.drills.book import DRILLS
from loomtriage.drills.result import (
    DrillResult,
    TriageAnswer,
    conclude,
    grade,
    is_proven,
    write_result,
)
from loomtriage.drills.summary import summary_table
from loomtriage.errors import Exit
from loomtriage.model import Finding, Scope, State
from tests.drills.rehearsal import ES_DOWN


def found(state: str, says: str = "") -> Finding:
    return Finding(check="drill.x", state=State(state), says=says or state)


@pytest.mark.parametrize(
    ("states", "invalid", "restored", "interrupted", "expected"),
    [
        (("OK", "OK"), "", "OK", "", "OK"),
        (("OK", "BAD"), "", "OK", "", "BAD"),
        (("OK", "NO_DATA"), "", "OK", "", "NO_DATA"),
        (("OK", "ERROR"), "", "OK", "", "ERROR"),
        (("OK",), "", "WARN", "", "WARN"),
        (("OK",), "", "BAD", "", "BAD"),
        (("OK",), "no witness", "OK", "", "NO_DATA"),
        (("BAD",), "no witness", "OK", "", "NO_DATA"),
        (("ERROR",), "no witness", "OK", "", "ERROR"),
        (("OK",), "no witness", "BAD", "", "BAD"),
        ((), "no work", "OK", "", "NO_DATA"),
        (("OK",), "", "OK", "SIGTERM", "NO_DATA"),
        (("OK",), "", "BAD", "SIGTERM", "BAD"),
        (("OK",), "", "NO_DATA", "SIGTERM", "NO_DATA"),
    ],
)
def test_state_of_a_drill(states, invalid, restored, interrupted, expected):
    """A drill that proved nothing is never OK, and one that left a mark is always BAD."""
    state, says = conclude(
        tuple(found(state) for state in states),
        invalid=invalid,
        restored=found(restored),
        interrupted=interrupted,
    )
    assert state is State(expected)
    assert says


@pytest.mark.parametrize(
    ("restored", "expected"),
    [
        ("OK", "Interrupted by SIGTERM; the lab was restored."),
        ("WARN", "Interrupted by SIGTERM; the lab was restored."),
        ("NO_DATA", "Interrupted by SIGTERM; the lab may not be restored. Its proxy died."),
    ],
)
def test_an_interrupted_drill_says_restored_only_when_it_looked(restored, expected):
    """Where nobody can tell whether the lab was restored, the sentence says so, and why."""
    after = found(restored, "Its proxy died.")
    assert conclude((), invalid="", restored=after, interrupted="SIGTERM")[1] == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, True),
        ({"witness": ()}, False),
        ({"invalid": "aborted: the fault's lease was lost"}, False),
        ({"invalid": "no work", "state": State.BAD, "says": "It did not come to rest."}, False),
    ],
)
def test_what_a_drill_proved_is_a_fact_of_its_own(told, expected):
    """However bad the lab was left, whether the fault was proven stands beside it, not under it."""
    fine = DrillResult(id="x", title="x", state=State.OK, says="Witnessed.", witness=("Refused.",))
    assert is_proven(replace(fine, **told).as_json()) is expected


def test_a_file_that_does_not_say_whether_it_proved_something_proves_nothing():
    """Neither its witness nor its sentence stands for what is not there."""
    assert not is_proven({"says": "Witnessed.", "witness": ["Refused."]})


@pytest.mark.parametrize(
    ("answer", "state", "missing", "expected"),
    [
        ("es_down", "BAD", (), "OK"),
        ("es_down", "BAD", ("traces",), "OK"),
        ("es_429", "BAD", (), "BAD"),
        ("es_429", "BAD", ("traces",), "BAD"),
        ("none", "OK", (), "BAD"),
        ("unknown", "BAD", (), "BAD"),
        ("unknown", "BAD", ("traces",), "NO_DATA"),
        ("unknown", "NO_DATA", (), "NO_DATA"),
    ],
)
def test_grade_of_the_triage(answer, state, missing, expected):
    """Only the drill's own cause is right; an abstention for want of data is no wrong answer."""
    given = TriageAnswer(cause=answer, state=State(state), scope=ES_DOWN.scope, missing=missing)
    named, *_ = grade(given, ES_DOWN)
    assert named.state is State(expected)


@pytest.mark.parametrize(
    ("scope", "states"),
    [
        (ES_DOWN.scope, ["OK", "OK"]),
        (replace(ES_DOWN.scope, env="sandbox"), ["OK", "OK"]),
        (replace(ES_DOWN.scope, reason="rate_limited"), ["OK", "WARN"]),
        (Scope(), ["OK", "WARN"]),
    ],
)
def test_right_cause_in_a_wrong_place_is_half_an_answer(scope, states):
    """The scope must hold what the drill says; more than that is welcome."""
    answer = TriageAnswer(cause="es_down", state=State.BAD, scope=scope)
    assert [finding.state.value for finding in grade(answer, ES_DOWN)] == states


def test_scope_under_a_wrong_cause_does_not_count():
    """A right place for a wrong reason earns nothing."""
    answer = TriageAnswer(cause="es_429", state=State.BAD, scope=ES_DOWN.scope)
    assert [finding.state.value for finding in grade(answer, ES_DOWN)] == ["BAD"]


def test_other_cause_that_a_drill_accepts_is_right():
    """Where two things happen at once, either may be named first, and both must be named."""
    both = DRILLS.get("es_429_and_poison", noun="drill")
    for first, second in (both.faults, both.faults[::-1]):
        answer = TriageAnswer(cause=first, state=State.BAD, scope=both.scope, also=(second,))
        assert grade(answer, both)[0].state is State.OK
        alone = grade(replace(answer, also=()), both)[0]
        assert alone.state is State.WARN
        assert f"{second} stood as well" in alone.says


@pytest.mark.parametrize("name", ["clock_skew", "log_full", "slow_es"])
def test_a_cause_that_no_rule_knows_must_still_be_observed(name):
    """To know nothing because nothing was seen is no data; to say what is odd is right."""
    drill = DRILLS.get(name, noun="drill")
    blind = TriageAnswer(
        cause="unknown",
        state=State.NO_DATA,
        missing=("metrics", "traces", "logs"),
        scope=Scope(projection="chronicle_events_to_entries"),
    )
    assert [found.state for found in grade(blind, drill)] == [State.NO_DATA]
    seen = replace(blind, doubts=(drill.doubt,), scope=drill.scope)
    assert [found.state for found in grade(seen, drill)] == [State.OK, State.OK]
    elsewhere = replace(seen, scope=blind.scope)
    assert [found.state for found in grade(elsewhere, drill)] == [State.OK, State.WARN]


def test_every_drill_without_a_cause_says_what_must_be_observed():
    """None of the book can be passed by seeing nothing."""
    for drill in DRILLS.all(noun="drill").values():
        assert (drill.doubt is not None) is (drill.cause == "unknown")


def test_a_drill_without_a_place_judges_none():
    """No scope is wanted, so none is called right."""
    drill = DRILLS.get("collector_down", noun="drill")
    answer = TriageAnswer(cause=drill.cause, state=State.BAD, scope=ES_DOWN.scope)
    assert [found.check for found in grade(answer, drill)] == ["drill.triage"]


@pytest.mark.parametrize(
    ("resolved", "state"), [(10, State.OK), (9, State.OK), (8, State.BAD), (0, State.BAD)]
)
def test_signals_of_failing_events_must_resolve_in_each_other(resolved, state):
    """Each edge is judged by itself, and what did not resolve is named."""
    lost = tuple(f"row-{n}" for n in range(resolved, 10))
    edge = Coverage(edge="log→row", resolved=resolved, n=10, unresolved=lost)
    idle = Coverage(edge="trace→log", resolved=0, n=0)
    answer = TriageAnswer(
        cause="es_down", state=State.BAD, scope=ES_DOWN.scope, coverage=(edge, idle)
    )
    joins = [one for one in grade(answer, ES_DOWN) if one.check.startswith("drill.joins")]
    assert [(one.check, one.state) for one in joins] == [("drill.joins.log→row", state)]
    assert all(name in joins[0].says for name in lost[:5])


@pytest.mark.parametrize(
    ("resolved", "n", "state"),
    [(1, 2, State.OK), (3, 4, State.OK), (2, 4, State.BAD), (0, 1, State.BAD)],
)
def test_one_of_a_few_may_lie_across_the_edge(resolved, n, state):
    """A verdict is none of timing; but where nothing resolves, nothing does."""
    edge = Coverage(edge="log→row", resolved=resolved, n=n)
    answer = TriageAnswer(cause="es_down", state=State.BAD, scope=ES_DOWN.scope, coverage=(edge,))
    assert grade(answer, ES_DOWN)[-1].state is state


@pytest.mark.parametrize(
    ("state", "interrupted", "code"),
    [
        ("OK", "", Exit.OK),
        ("WARN", "", Exit.BAD),
        ("BAD", "", Exit.BAD),
        ("NO_DATA", "", Exit.NO_DATA),
        ("ERROR", "", Exit.ERROR),
        ("NO_DATA", "SIGHUP", Exit.HANGUP),
        ("NO_DATA", "SIGINT", Exit.INTERRUPTED),
        ("NO_DATA", "SIGQUIT", Exit.QUIT),
        ("BAD", "SIGTERM", Exit.TERMINATED),
    ],
)
def test_exit_code_of_a_drill(state, interrupted, code):
    """A drill that a signal ended says so by its exit code, whatever else it found."""
    result = DrillResult(id="x", title="x", state=State(state), says="x", interrupted=interrupted)
    assert result.exit_code is code


def test_result_is_written_whole_and_private(tmp_path):
    """`drill.json` is one file of mode 0600, without a draft beside it."""
    result = DrillResult(id="x", title="x", state=State.OK, says="x")
    write_result(tmp_path / "run", result)
    (file,) = (tmp_path / "run").iterdir()
    assert file.name == "drill.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == result.as_json()


def test_seeds_are_in_the_order_of_numbers():
    """Seed 10 comes after seed 9."""
    drills = [
        DrillResult(id="placebo", title="x", state=State.OK, says="x", seed=seed).as_json()
        for seed in (10, 9)
    ]
    told = [row[0] for row in summary_table(drills, asked=2).rows]
    assert told == ["placebo seed 9", "placebo seed 10"]
