"""What a drill comes to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from loomtriage.drills.book import DRILLS
from loomtriage.drills.result import (
    DrillResult,
    TriageAnswer,
    conclude,
    grade,
    is_proven,
    write_result,
)
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


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"says": "Witnessed.", "witness": ["Refused."]}, True),
        ({"says": "Invalid: no work was done.", "witness": ["Refused."]}, False),
        ({"says": "The lab did not come to rest.", "witness": []}, False),
    ],
)
def test_older_results_tell_it_by_witness_and_sentence(told, expected):
    """A recorded run from before has no such fact, and is read all the same."""
    assert is_proven(told) is expected


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
    """Where two things happen at once, either may be named first."""
    both = DRILLS.get("es_429_and_poison", noun="drill")
    for cause in (both.cause, *both.accept):
        answer = TriageAnswer(cause=cause, state=State.BAD, scope=both.scope)
        assert grade(answer, both)[0].state is State.OK


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
