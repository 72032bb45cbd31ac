"""The keeper of a fault: what happens when its runner is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest

from loomtriage.drills import watch
from loomtriage.drills.database import owner_session
from loomtriage.drills.fault import Undo
from loomtriage.drills.faults import standing
from loomtriage.drills.faults.rows import PoisonRows
from loomtriage.drills.faults.setting import IndexSetting, SettingFault, read_setting
from loomtriage.drills.keeper import Keeper, keep
from loomtriage.drills.restore import recover
from loomtriage.errors import SourceUnavailable
from loomtriage.model import State, Window
from tests.drills.rehearsal import (
    BRISK,
    ES_DOWN,
    TriageAnswer,
    home_of,
    in_a_process,
    left_behind,
    rehearse,
    saying,
)

BLOCK = replace(ES_DOWN, fault=IndexSetting(), expect=())
POISON = replace(ES_DOWN, fault=PoisonRows(), expect=())
NAME = "index.blocks.write"
RUNNER = """
import sys
from pathlib import Path
from loomtriage.drills.faults.setting import IndexSetting
from loomtriage.drills.keeper import Keeper
from loomtriage.lab.state import read_state

fault = IndexSetting().bind(read_state(Path(sys.argv[1])), fault_id="f2")
keeper = Keeper()
keeper.guard(fault.lab, fault.planned, lease_s=3600.0)
fault.apply()
print("applied", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck(SettingFault):
    """A setting that only its keeper can take back."""

    def revert(self, undo: Undo) -> None:
        if self.is_active():
            raise SourceUnavailable(f"{undo.kind} is out of reach.", hint="Wait.")


class StuckSetting(IndexSetting):
    """The plan of it."""

    def bind(self, lab, *, fault_id):
        plain = IndexSetting.bind(self, lab, fault_id=fault_id)
        return Stuck(**{one.name: getattr(plain, one.name) for one in fields(plain)})


def wait_healed(lab, within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while standing(lab):
        assert time.monotonic() < end, "nobody took the fault back"
        time.sleep(0.1)


def keepers() -> list[str]:
    """Process ids of the keepers that this process started and that still run."""
    children = [
        pid
        for listed in Path("/proc/self/task").glob("*/children")
        for pid in listed.read_text().split()
    ]
    return [p for p in children if b"drills.keeper" in Path(f"/proc/{p}/cmdline").read_bytes()]


@pytest.mark.lab
def test_dead_runner_is_noticed_long_before_silence_counts(lab):
    """It is the end of the runner that its keeper hears, not the lack of beats."""
    process = subprocess.Popen(
        (sys.executable, "-c", RUNNER, str(lab.root)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"applied\n"
    assert standing(lab) == (NAME,)
    process.kill()
    wait_healed(lab)
    process.communicate()


@pytest.mark.lab
@pytest.mark.parametrize("drill", [BLOCK, POISON], ids=["write block", "spoilt rows"])
def test_fault_heals_when_its_runner_is_killed(lab, drill):
    """After kill -9 the keeper takes all of a fault back, without any further command."""
    assert in_a_process(lab.root, {"observe:before": signal.SIGKILL}, drill) == -signal.SIGKILL
    wait_healed(lab)
    assert read_setting(lab, NAME) == ""
    with owner_session(lab) as session:
        found = session.execute("SELECT count(*) FROM search_index WHERE rank_score = 'NaN'")
        assert found.fetchone() == (0,)
    assert recover(home_of(lab), say=lambda _line: None).state is State.OK
    assert left_behind(lab) == []


@pytest.mark.lab
def test_keeper_that_hears_no_beat_takes_the_fault_back(lab):
    """A runner that hangs is as good as gone."""
    fault = IndexSetting().bind(lab, fault_id="f1")
    keeper = Keeper()
    keeper.guard(lab, fault.planned, lease_s=5.0)
    fault.apply()
    wait_healed(lab)
    keeper.dismiss()


@pytest.mark.lab
def test_keeper_ends_with_its_drill(lab):
    """A drill that ends well leaves no keeper behind."""
    seen: list[str] = []

    def triage(window: Window, baseline: Window) -> TriageAnswer:
        seen.extend(keepers())
        return saying("es_down")(window, baseline)

    result = rehearse(lab, BLOCK, triage=triage)
    assert result.state is State.OK, result
    assert len(seen) == 1
    assert keepers() == []


@pytest.mark.lab
def test_keeper_takes_back_what_its_runner_could_not(lab):
    """After a revert that failed the fault does not stand until somebody runs `recover`."""
    drill = replace(BLOCK, fault=StuckSetting())
    result = rehearse(lab, drill, times=replace(BRISK, settle_s=3.0))
    assert (result.state, result.restored) == (State.BAD, False)
    assert "The fault was not taken back" in result.says
    wait_healed(lab)
    assert recover(home_of(lab), say=lambda _line: None).state is State.OK
    assert left_behind(lab) == []


def test_lease_is_renewed_as_soon_as_the_fault_is_applied(monkeypatch):
    """Apply may have used up most of a lease: neither heartbeat nor evaluator waits first."""
    monkeypatch.setattr(watch, "RENEW_EVERY_S", 3600.0)
    monkeypatch.setattr(watch, "LOOK_EVERY_S", 3600.0)
    renewed, looked = threading.Event(), threading.Event()

    def renew() -> bool:
        renewed.set()
        return True

    def look() -> str:
        looked.set()
        return ""

    with watch.watched(renew=renew, look=look, end_fault=lambda: None, max_s=3600.0) as alarm:
        assert renewed.wait(30)
        assert looked.wait(30)
    assert not alarm.raised


def test_keeper_that_never_gets_an_order_just_ends():
    """A runner that dies before it has anything to take back leaves nothing to do."""
    out, into = os.pipe()
    os.close(into)
    assert keep(out, 1) is False
    os.close(out)


def test_keeper_whose_runner_died_before_it_was_ready_just_ends():
    """Nothing is applied before the keeper is heard, so nothing is taken back, nor said."""
    (orders, into), (out, answers) = os.pipe(), os.pipe()
    os.write(into, b'{"root": "/nowhere", "undo": null, "lease_s": 5}\n')
    os.close(out)
    assert keep(orders, answers) is False
    for end in (orders, into, answers):
        os.close(end)


def test_keeper_that_is_gone_is_noticed():
    """A beat that nobody hears says so, and the drill ends."""
    keeper = Keeper()
    keeper.dismiss()
    assert not keeper.beat()
