"""A lab that dies under its drill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from loomtriage.drills.faults import standing
from loomtriage.drills.faults.http import HttpRefuse, connect_error
from loomtriage.drills.faults.rows import PoisonRows
from loomtriage.drills.faults.setting import IndexSetting
from loomtriage.drills.journal import journals, open_journal, read
from loomtriage.drills.lock import drill_lock
from loomtriage.drills.record import Step
from loomtriage.drills.restore import recover
from loomtriage.drills.steady import unsteady
from loomtriage.errors import Exit, Refused
from loomtriage.lab import control, is_alive, status
from loomtriage.lab.state import LabState
from loomtriage.model import State
from tests.drills.rehearsal import (
    BRISK,
    TriageAnswer,
    bring_back,
    home_of,
    left_behind,
    rehearse,
)
from tests.lab.services import until

pytestmark = pytest.mark.lab

FULL_DISK = """
import resource, sys
from pathlib import Path
from loomtriage.drills.restore import recover

resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
print(recover(Path(sys.argv[1]), say=lambda _line: None))
"""


def pid_of(lab: LabState, name: str) -> int:
    (pid,) = (service.pid for service in status(lab.root) if service.name == name)
    assert pid
    return pid


def test_drill_whose_lab_lost_a_part_proves_nothing(doomed_lab):
    """When the fault proxy dies the drill is NO_DATA, names it, and stays open for `recover`."""
    lab = doomed_lab

    def triage(_window, _baseline):
        os.kill(pid_of(lab, "proxy"), signal.SIGKILL)
        return TriageAnswer(cause="es_down", state=State.BAD)

    result = rehearse(lab, triage=triage)
    assert (result.state, result.exit_code) == (State.NO_DATA, Exit.NO_DATA), result
    assert "the lab's proxy died" in result.says
    assert not result.restored
    assert read(journals(home_of(lab))[-1]).is_open
    report = recover(home_of(lab), say=lambda _line: None)  # which starts the proxy again
    assert report.state is State.OK, report
    assert not read(journals(home_of(lab))[-1]).is_open

    journal = open_journal(home_of(lab), lab_id=lab.lab_id)
    journal.write(Step.LOCK, lab_root=str(lab.root), owns_lab=False)
    os.kill(lab.supervisor_pid, signal.SIGKILL)
    until(
        lambda: not is_alive(lab) and connect_error(lab.ports["proxy_admin"]) != 0,
        "the end of the lab",
    )
    report = recover(home_of(lab), say=lambda _line: None)
    assert report.state is State.OK
    assert "its lab is gone, and its fault with it" in report.findings[-1].says
    assert not any(read(path).is_open for path in journals(home_of(lab)))


def test_worker_that_died_under_its_drill_is_left_to_recover(lab):
    """What no revert brings back keeps the journal open: no drill starts until `recover` ran."""

    def triage(_window, _baseline):
        os.kill(pid_of(lab, "worker"), signal.SIGKILL)
        return TriageAnswer(cause="es_down", state=State.BAD)

    result = rehearse(lab, triage=triage, times=replace(BRISK, settle_s=2.0))
    assert (result.state, result.restored) == (State.BAD, False), result
    assert "The fault journal stays open for `loomtriage recover`: worker" in result.notes
    with pytest.raises(Refused, match="is open: its drill got as far as restored"):
        rehearse(lab)
    report = recover(home_of(lab), say=lambda _line: None)
    assert report.state is State.OK, report
    assert left_behind(lab) == []


def _poison(lab):
    PoisonRows(lease_s=0.1).bind(lab, fault_id="old").apply()


def _stop(lab):
    os.kill(pid_of(lab, "worker"), signal.SIGSTOP)


def _kill(lab):
    os.kill(pid_of(lab, "worker"), signal.SIGKILL)


@pytest.mark.parametrize("leave", [_poison, _stop, _kill])
def test_recover_takes_back_what_no_journal_speaks_of(lab, leave):
    """A rule past its lease, or a worker that is stopped or dead, keeps drills out until then."""
    leave(lab)
    until(lambda: left_behind(lab), "the fault")
    with pytest.raises(Refused, match="stand in the lab already") as refused:
        rehearse(lab, times=BRISK)
    assert "loomtriage recover" in refused.value.hint
    with drill_lock(home_of(lab), lab.lab_id):
        report = recover(home_of(lab), say=lambda _line: None)
        assert (report.findings, report.exit_code) == ((), Exit.OK)
        assert f"Left alone: Lab {lab.root.name}: The drill lock" in str(report)
    report = recover(home_of(lab), say=lambda _line: None)
    assert report.state is State.OK, report
    assert "no journal is open, yet this stood" in report.findings[0].says
    assert left_behind(lab) == []
    assert recover(home_of(lab), say=lambda _line: None).findings == ()


def test_fault_is_taken_back_with_a_full_disk(lab):
    """Without room for one byte the lab is healed; the journal is closed once there is some."""
    home = home_of(lab)
    fault = IndexSetting().bind(lab, fault_id="full")
    journal = open_journal(home, lab_id=lab.lab_id)
    journal.write(Step.LOCK, lab_root=str(lab.root), owns_lab=False)
    journal.write(Step.INTENT, undo=fault.planned.as_json())
    fault.apply()
    with journal.path.open("ab") as file:
        file.write(b'{"at":"2026')  # as when the runner died of that disk
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(home)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Step close could not be written" in ran.stdout
    assert standing(lab) == ()
    assert read(journal.path).is_open
    assert recover(home, say=lambda _line: None).state is State.OK
    assert left_behind(lab) == []


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


def test_what_a_failed_test_leaves_is_brought_back(lab):
    """Faults, a block, a dead worker, one too many and an open journal: the next test sees none."""
    journal = open_journal(home_of(lab), lab_id=lab.lab_id)
    journal.write(Step.LOCK, lab_root=str(lab.root), owns_lab=False)
    control.start(lab, "worker-2")
    for plan in (HttpRefuse(lease_s=60), IndexSetting()):
        plan.bind(lab, fault_id=f"left-{plan.kind}").apply()
    os.kill(pid_of(lab, "worker"), signal.SIGKILL)
    assert len(left_behind(lab)) >= 3
    assert bring_back(lab) == ""
    assert (left_behind(lab), control.strayed(lab), unsteady(lab)) == ([], (), "")
