"""A lab that dies under its drill."""

from __future__ import annotations

import os
import signal

import pytest

from loomtriage.drills.faults.http import connect_error
from loomtriage.drills.journal import journals, open_journal, read
from loomtriage.drills.record import Step
from loomtriage.drills.restore import recover
from loomtriage.errors import Exit
from loomtriage.lab import is_alive, status
from loomtriage.lab.state import LabState
from loomtriage.model import State
from tests.drills.rehearsal import TriageAnswer, home_of, rehearse

pytestmark = pytest.mark.lab


def pid_of(lab: LabState, name: str) -> int:
    (pid,) = (service.pid for service in status(lab.root) if service.name == name)
    assert pid
    return pid


def test_drill_whose_lab_lost_a_part_proves_nothing(doomed_lab):
    """When the fault proxy dies the drill is NO_DATA and names it; `recover` finds nothing open."""
    lab = doomed_lab

    def triage(_window, _baseline):
        os.kill(pid_of(lab, "proxy"), signal.SIGKILL)
        return TriageAnswer(cause="es_down", state=State.BAD)

    result = rehearse(lab, triage=triage)
    assert (result.state, result.exit_code) == (State.NO_DATA, Exit.NO_DATA), result
    assert "the lab's proxy died" in result.says
    assert not result.restored

    journal = open_journal(home_of(lab), lab_id=lab.lab_id)
    journal.write(Step.LOCK, lab_root=str(lab.root), owns_lab=False)
    os.kill(lab.supervisor_pid, signal.SIGKILL)
    while is_alive(lab) or connect_error(lab.ports["proxy_admin"]) == 0:
        pass
    report = recover(home_of(lab), say=lambda _line: None)
    assert report.state is State.OK
    assert "its lab is gone, and its fault with it" in report.findings[-1].says
    assert not any(read(path).is_open for path in journals(home_of(lab)))


def test_recover_takes_down_a_lab_that_was_started_for_one_drill(doomed_lab):
    """A killed drill's own lab is healed, compared, and ended; a lab of the user's is not."""
    lab = doomed_lab

    class Died(BaseException):
        pass

    def die(point):
        if str(point) == "observe:after":
            raise Died

    with pytest.raises(Died):
        rehearse(lab, on_point=die, owns_lab=True)
    report = recover(home_of(lab), say=lambda _line: None)
    assert report.state is State.OK, report
    assert "equals its journalled digest" in report.findings[0].says
    assert not is_alive(lab)
    assert not lab.root.exists()
