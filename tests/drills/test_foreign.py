"""Drills on a worker that is not ours."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from loomtriage.drills.book import DRILLS
from loomtriage.drills.drill import LoadPlan
from loomtriage.drills.guards import NothingToActOn
from loomtriage.drills.session import Order, run_drills
from loomtriage.model import State
from tests.drills.conftest import a_lab
from tests.drills.rehearsal import LONGER, left_behind, rehearse, states

pytestmark = pytest.mark.lab
WORKER = Path(__file__).parent.parent / "lab" / "foreign_worker.py"


@pytest.fixture(scope="module")
def foreign_lab():
    """A lab whose worker shares no line with ours."""
    with a_lab(worker_cmd=(sys.executable, str(WORKER))) as lab:
        yield lab


def perform(lab, name):
    drill = replace(DRILLS.get(name, noun="drill"), load=LoadPlan(per_s=20))
    result = rehearse(lab, drill, times=LONGER)
    assert result.witness or drill.cause == "none"
    assert left_behind(lab) == []
    return result


def test_drill_on_somebody_elses_worker(foreign_lab):
    """A fault acts on it, its old reason names are understood, and the lab is restored."""
    result = perform(foreign_lab, "es_429_forced")
    assert result.restored, result
    judged = {check: state for check, state in states(result).items() if "429" in check}
    assert State.BAD not in states(result).values(), states(result)
    assert State.NO_DATA not in judged.values()


def test_what_it_does_not_tell_is_no_data(foreign_lab):
    """A counter that it keeps too coarse makes the drill invalid, never wrong."""
    result = perform(foreign_lab, "es_poison_4xx")
    assert result.state is State.NO_DATA, result
    assert "the worker counts es_4xx only" in result.says


@pytest.mark.soak
def test_the_blind_path_is_never_wrong_on_somebody_elses_worker(tmp_path):
    """Whatever that worker does not tell, no cause is called wrong; each fault is taken back."""
    order = Order(worker_cmd=(sys.executable, str(WORKER)), seed=5, out=tmp_path)
    done = list(run_drills(list(DRILLS), order, say=lambda _line: None))
    assert len(done) == len(DRILLS)
    assert all(one.error is None or isinstance(one.error, NothingToActOn) for one in done)
    answered = [one.result for one in done if one.error is None]
    assert sum(result.triage is not None for result in answered) > len(DRILLS) / 2
    assert all(result.restored for result in answered)
    wrong = [
        (result.id, result.triage)
        for result in answered
        if states(result).get("drill.triage") is State.BAD
    ]
    assert not wrong
