"""Clocks that jump, and a machine that sleeps, while a drill runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loomtriage.drills.clock import ClockMark
from loomtriage.drills.journal import open_journal
from loomtriage.drills.performance import Performance
from loomtriage.drills.setup import Setup
from loomtriage.drills.signals import Signals
from tests.drills.rehearsal import PLACEBO, saying
from tests.drills.strangers import hollow_lab

START = ClockMark(wall_s=1000.0, steady_s=100.0, awake_s=50.0)


@pytest.mark.parametrize(
    ("wall", "steady", "awake", "told"),
    [
        (30.0, 30.0, 30.0, ""),
        (31.9, 30.0, 30.0, ""),
        (32.1, 30.0, 30.0, "the wall clock jumped by +2.1 s"),
        (-3570.0, 30.0, 30.0, "the wall clock jumped by -3600.0 s"),
        (30.0, 30.0, 28.1, ""),
        (30.0, 30.0, 20.0, "the machine slept for 10.0 s"),
    ],
)
def test_clocks_that_disagree_are_told(wall, steady, awake, told):
    """Within two seconds they agree; beyond, it is said which one and by how much."""
    later = ClockMark(
        wall_s=START.wall_s + wall,
        steady_s=START.steady_s + steady,
        awake_s=START.awake_s + awake,
    )
    assert START.jump_until(later) == told


def test_clock_is_looked_at_while_the_fault_stands(tmp_path):
    """A clock that jumped ends the drill at once: it may have come back by the end."""
    lab = hollow_lab(tmp_path)
    setup = Setup(
        drill=PLACEBO,
        lab=lab,
        journal=open_journal(tmp_path, lab_id=lab.lab_id),
        folder=tmp_path,
        say=lambda _line: None,
        triage=saying("none"),
    )
    show = Performance(setup, Signals())
    assert "jumped" not in show.look()
    show.clock = replace(show.clock, wall_s=show.clock.wall_s - 3600)
    assert "the wall clock jumped by +3600" in show.look()
