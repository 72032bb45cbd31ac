"""Signals, and whatever else ends a drill early."""

from __future__ import annotations

import signal
import time
from dataclasses import replace

import psycopg
import pytest

from loomtriage.drills.aftermath import come_to_rest
from loomtriage.drills.digest import take_digest
from loomtriage.drills.drill import Budget
from loomtriage.drills.expect import Falls, Observed
from loomtriage.drills.faults.rows import PoisonRows
from loomtriage.drills.faults.worker import dress
from loomtriage.drills.journal import journals, open_journal, read
from loomtriage.drills.record import Step
from loomtriage.drills.restore import recover
from loomtriage.drills.setup import Setup
from loomtriage.errors import Exit, SourceUnavailable
from loomtriage.model import Finding, State
from tests.drills.rehearsal import (
    ES_DOWN,
    LONGER,
    PLACEBO,
    SHORT,
    home_of,
    in_a_process,
    left_behind,
    now,
    rehearse,
    saying,
    states,
)

pytestmark = pytest.mark.lab

ENDING = {
    signal.SIGINT: Exit.INTERRUPTED,
    signal.SIGTERM: Exit.TERMINATED,
    signal.SIGHUP: Exit.HANGUP,
    signal.SIGQUIT: Exit.QUIT,
}
FORWARD = ("preflight:after", "baseline:after", "intent:after", "applied:mid", "verified:after")


def end_early(lab, sends):
    before = take_digest(lab)
    first = next(iter(sends.values()))
    assert in_a_process(lab.root, sends) == ENDING[first]
    assert left_behind(lab) == []
    assert take_digest(lab).differs(before.parts) == ()


@pytest.mark.parametrize(
    "sends",
    [
        {"preflight:after": signal.SIGHUP},
        {"baseline:after": signal.SIGQUIT},
        {"applied:mid": signal.SIGTERM},
        {"triage": signal.SIGINT},
        {"verified:after": signal.SIGINT, "reverting:after": signal.SIGTERM},
        {"reverted:mid": signal.SIGTERM},
    ],
    ids=str,
)
def test_ending_signal_reverts_and_tells_by_exit_code(lab, sends):
    """A signal takes the fault back without `recover`; a second one waits until all is restored."""
    end_early(lab, sends)


@pytest.mark.soak
@pytest.mark.parametrize("number", list(ENDING))
@pytest.mark.parametrize("point", [*FORWARD, "triage", "observe:after", "reverting:after"])
def test_every_signal_at_every_step(lab, point, number):
    """The same for each signal at each step."""
    end_early(lab, {point: number})


class Throws:
    """An expectation that cannot be judged."""

    name = "throws"

    def check(self, observed: Observed) -> Finding:
        raise ZeroDivisionError("no checker")


def test_expectation_that_throws_is_an_error_and_the_lab_is_restored(lab):
    """A broken checker makes the drill ERROR, never OK."""
    result = rehearse(lab, replace(ES_DOWN, expect=(*ES_DOWN.expect, Throws())))
    assert result.state is State.ERROR
    assert states(result)["drill.throws"] is State.ERROR
    assert result.restored
    assert left_behind(lab) == []


def test_expectation_of_another_drill_that_throws_is_an_error(lab, monkeypatch):
    """Every drill is held against the whole book: a broken checker anywhere in it is told."""

    def breaks(*_: object) -> State:
        raise ZeroDivisionError("no checker")

    monkeypatch.setattr(Falls, "_judge", breaks)
    result = rehearse(lab, PLACEBO)
    assert result.state is State.ERROR, result
    assert states(result)["drill.cross"] is State.ERROR
    assert result.restored
    assert left_behind(lab) == []


def test_triage_that_throws_is_an_error(lab):
    """A triage that breaks gives no answer; the drill is ERROR and restored."""

    def breaks(_window, _baseline):
        raise OSError("no kernel")

    result = rehearse(lab, triage=breaks)
    assert (result.state, result.triage) == (State.ERROR, None)
    assert left_behind(lab) == []


def test_abort_evaluator_that_throws_ends_the_drill(lab):
    """Who cannot judge whether to go on must stop: the fault is taken back, the drill is ERROR."""

    def breaks() -> str:
        raise OSError("cannot see")

    result = rehearse(lab, abort_if=breaks, times=replace(SHORT, fault_s=20.0))
    assert result.state is State.ERROR
    assert "abort evaluator broke: OSError" in result.says
    assert "abort evaluator broke" in result.invalid
    assert left_behind(lab) == []


def test_budget_that_is_too_small_ends_the_drill(lab):
    """A fault that stands longer than its budget is taken back; the drill proves nothing."""
    drill = replace(ES_DOWN, budget=Budget(max_s=3.0))
    result = rehearse(lab, drill, times=replace(SHORT, fault_s=20.0))
    assert result.state is State.NO_DATA
    assert "whole budget of 3 s" in result.says
    assert result.says == f"Invalid: {result.invalid}."
    assert left_behind(lab) == []


def test_too_many_failed_rows_end_the_drill(lab):
    """Once more rows have failed for good than the budget allows, the fault is taken back."""
    drill = replace(ES_DOWN, fault=PoisonRows(every=1), expect=(), budget=Budget(max_failed_rows=1))
    result = rehearse(lab, drill, times=replace(SHORT, fault_s=20.0))
    assert result.state is State.NO_DATA, result
    assert "rows failed for good, more than 1" in result.invalid
    assert left_behind(lab) == []


def test_alarm_takes_the_fault_back_while_the_triage_is_still_thinking(lab):
    """The abort evaluator does not wait for a slow triage."""
    seen = []

    def slow(_window, _baseline):
        end = time.monotonic() + 40
        while left_behind(lab)[:1] != [] and "fault" in left_behind(lab)[0]:
            assert time.monotonic() < end, "the fault still stands"
            time.sleep(0.1)
        seen.append("healed while thinking")
        raise OSError("too late")

    drill = replace(ES_DOWN, budget=Budget(max_s=4.0))
    result = rehearse(lab, drill, triage=slow, times=replace(SHORT, fault_s=0.3))
    assert seen == ["healed while thinking"]
    assert result.state is not State.OK
    assert left_behind(lab) == []


def test_database_that_answers_late_leaves_no_service_dressed(lab):
    """One answer that does not come while rows drain is waited out, and the spare worker ends."""
    drill, home = replace(ES_DOWN, services={"worker-2": {}}), home_of(lab)
    dress(lab, drill.services)
    with psycopg.connect(lab.dsn) as session:
        session.execute("LOCK TABLE search_outbox_events IN ACCESS EXCLUSIVE MODE")

        def say(line: str) -> None:
            if "did not answer" in line:
                session.rollback()

        setup = Setup(
            drill=drill,
            lab=lab,
            journal=open_journal(home, lab_id=lab.lab_id),
            folder=home,
            say=say,
            triage=saying("none"),
        )
        rest = come_to_rest(setup, since=now(), pause=time.sleep)
    assert rest.lacking == ""
    assert left_behind(lab) == []


def test_exception_in_a_step_is_told_and_reverted(lab):
    """Whatever breaks in the harness, the fault is taken back and the drill is ERROR."""

    def breaks(point):
        if str(point) == "verified:after":
            raise KeyError("harness")

    result = rehearse(lab, on_point=breaks)
    assert result.state is State.ERROR
    assert "KeyError" in result.says
    contents = read(journals(home_of(lab))[-1])
    assert contents.last(Step.REVERTED) is not None
    assert left_behind(lab) == []


def test_part_that_does_not_answer_is_named_with_what_to_do(lab):
    """The sentence of an invalid drill ends once, and keeps the hint."""

    def breaks(point):
        if str(point) == "verified:after":
            raise SourceUnavailable("The proxy did not answer: ConnectError.", hint="Look at it.")

    result = rehearse(lab, on_point=breaks)
    assert result.state is State.NO_DATA
    assert result.says == "Invalid: The proxy did not answer: ConnectError. Look at it."


def test_journal_that_cannot_be_closed_is_told(lab):
    """A drill whose journal stays open is WARN, and says so: the next drill will be refused."""
    home = home_of(lab)
    folder, gone = home / "journals", home / "gone"

    def lose(point):
        if str(point) == "close:before":
            folder.rename(gone)

    try:
        result = rehearse(lab, on_point=lose, times=LONGER)
    finally:
        gone.rename(folder)
    assert result.state is State.WARN, result
    assert "Step close could not be written" in result.says
    assert result.says == result.notes[-1]
    assert read(journals(home)[-1]).is_open
    assert recover(home, say=lambda _line: None).state is State.OK
    assert left_behind(lab) == []
