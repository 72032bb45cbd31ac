"""The keeper of a fault that has no lease of its own."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from loomtriage.drills.faults import standing
from loomtriage.drills.faults.setting import IndexSetting, read_setting
from loomtriage.drills.keeper import Keeper, keep
from loomtriage.drills.restore import recover
from loomtriage.model import State, Window
from tests.drills.rehearsal import (
    ES_DOWN,
    TriageAnswer,
    home_of,
    in_a_process,
    left_behind,
    rehearse,
    saying,
)

BLOCK = replace(ES_DOWN, fault=IndexSetting(), expect=())
NAME = "index.blocks.write"


def wait_healed(lab, within_s: float = 20.0) -> None:
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
def test_fault_without_a_lease_heals_when_its_runner_is_killed(lab):
    """After kill -9 the keeper lifts a write block, without any further command."""
    assert in_a_process(lab.root, {"observe:before": signal.SIGKILL}, BLOCK) == -signal.SIGKILL
    wait_healed(lab)
    assert read_setting(lab, NAME) == ""
    assert recover(home_of(lab), say=lambda _line: None).state is State.OK
    assert left_behind(lab) == []


@pytest.mark.lab
def test_keeper_that_hears_no_beat_takes_the_fault_back(lab):
    """A runner that hangs is as good as gone."""
    fault = IndexSetting().bind(lab, fault_id="f1")
    keeper = Keeper()
    keeper.guard(lab, fault.planned, lease_s=1.0)
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


def test_keeper_that_never_gets_an_order_just_ends():
    """A runner that dies before it has anything to take back leaves nothing to do."""
    out, into = os.pipe()
    os.close(into)
    assert keep(out, 1) is False
    os.close(out)


def test_keeper_that_is_gone_is_noticed():
    """A beat that nobody hears says so, and the drill ends."""
    keeper = Keeper()
    keeper.dismiss()
    assert not keeper.beat()
