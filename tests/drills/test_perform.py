"""One drill from steady state to steady state."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from loomtriage.drills import setup
from loomtriage.drills.drill import LoadPlan
from loomtriage.drills.fault import Inject
from loomtriage.drills.faults.http import HttpAnswer
from loomtriage.drills.faults.load import MoreLoad
from loomtriage.drills.journal import journals, read
from loomtriage.drills.record import Step
from loomtriage.errors import Exit
from loomtriage.lab.load import Load
from loomtriage.model import State, Window
from tests.drills.rehearsal import (
    ES_DOWN,
    LONGER,
    PLACEBO,
    TriageAnswer,
    home_of,
    left_behind,
    rehearse,
    saying,
    states,
)

pytestmark = pytest.mark.lab


def test_drill_with_a_right_answer_is_ok(lab):
    """Witnessed, expected, answered and restored: OK, exit code 0, and the lab is what it was."""
    asked: list[tuple[Window, Window]] = []

    def triage(window: Window, baseline: Window) -> TriageAnswer:
        asked.append((window, baseline))
        assert left_behind(lab)[0].startswith("fault"), "the triage must see the incident"
        return TriageAnswer(cause="es_down", state=State.BAD, scope=ES_DOWN.scope)

    result = rehearse(lab, triage=triage, times=LONGER)
    assert result.state is State.OK, result
    assert result.exit_code is Exit.OK
    assert result.start_digest == result.end_digest != ""
    assert "ECONNREFUSED" in result.witness[0]
    assert [phase.name for phase in result.phases] == [
        step.value for step in Step if step is not Step.CLOSE
    ]
    ((window, baseline),) = asked
    assert baseline.end == window.start
    json.dumps(result.as_json())
    assert left_behind(lab) == []


def test_every_step_is_in_the_journal_and_no_secret(lab):
    """A whole drill leaves its eleven lines in order, closed, without the lab's token."""
    rehearse(lab)
    path = journals(home_of(lab))[-1]
    contents = read(path)
    assert [record.step for record in contents.records] == list(Step)
    assert not contents.is_open
    assert lab.token not in path.read_text()


def test_wrong_answer_is_bad(lab):
    """A triage that names a look-alike fails the drill, whatever the counters did."""
    result = rehearse(lab, triage=saying("es_429"))
    assert result.state is State.BAD
    assert states(result)["drill.triage"] is State.BAD
    assert result.restored


def test_fault_that_does_not_act_proves_nothing(lab):
    """With a no-op injector the drill is NO_DATA, even with the right answer."""
    result = rehearse(lab, inject=Inject.NOOP)
    assert (result.state, result.exit_code) == (State.NO_DATA, Exit.NO_DATA)
    assert result.witness == ()
    assert "nothing witnesses" in result.says
    assert left_behind(lab) == []


def test_drill_without_work_proves_nothing(lab):
    """With the load off the drill is NO_DATA, and the fault is not even applied."""
    result = rehearse(lab, replace(ES_DOWN, load=LoadPlan(per_s=0)))
    assert result.state is State.NO_DATA
    assert "the load is off" in result.says
    assert read(journals(home_of(lab))[-1]).last(Step.INTENT) is None
    assert left_behind(lab) == []


@pytest.mark.parametrize(("answer", "state"), [("none", State.OK), ("es_down", State.BAD)])
def test_placebo_wants_the_answer_none(lab, answer, state):
    """Without any fault the only right answer is that there is none."""
    result = rehearse(lab, PLACEBO, triage=saying(answer))
    assert result.state is state, result
    assert "no fault" in result.witness[0]
    assert left_behind(lab) == []


def test_no_load_ends_before_its_drill(lab, monkeypatch):
    """A drill may take longer than a load usually lasts: neither of the two ends meanwhile."""
    monkeypatch.setitem(Load.__init__.__kwdefaults__, "max_s", 0.2)
    result = rehearse(lab, replace(PLACEBO, fault=MoreLoad(per_s=10)))
    assert result.state is State.OK, result
    assert left_behind(lab) == []


def test_load_that_ended_by_itself_proves_nothing(lab, monkeypatch):
    """Without work up to the end the drill is NO_DATA, whatever the triage answered."""
    monkeypatch.setattr(setup, "MAX_S", 3.5 - PLACEBO.budget.max_s)
    result = rehearse(lab, PLACEBO, times=LONGER)
    assert result.state is State.NO_DATA, result
    assert result.invalid == "the load ended before the drill did"
    assert left_behind(lab) == []


def test_expectation_that_is_not_met_is_bad(lab):
    """The placebo does not pass for a drill whose counters must move."""
    result = rehearse(lab, replace(PLACEBO, expect=ES_DOWN.expect))
    assert result.state is State.BAD
    assert left_behind(lab) == []


@pytest.mark.parametrize("every", [1, 2])
def test_wrong_answers_at_the_proxy_are_witnessed(lab, every):
    """An answering fault is proven by requests of our own, and taken back like any other."""
    fault = HttpAnswer(status=429, every=every)
    result = rehearse(lab, replace(ES_DOWN, fault=fault, expect=()))
    assert result.state is State.OK, result
    assert "met status 429" in result.witness[0]
    assert left_behind(lab) == []


def test_two_drills_start_from_the_same_lab(lab):
    """The lab does not drift: the second drill starts where the first one did."""
    first, second = rehearse(lab), rehearse(lab)
    assert first.start_digest == first.end_digest == second.start_digest == second.end_digest
