"""What a seed draws, and what nobody may draw."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loomtriage.drills.book import DRILLS
from loomtriage.drills.leftovers import STAGING, sweep


@pytest.mark.parametrize("name", list(DRILLS))
def test_seed_draws_the_same_again_and_another_something_else(name):
    """A drill is repeatable by its seed, and no two of three seeds are alike."""
    drill = DRILLS.get(name, noun="drill")
    told = [drill.drawn(seed).told() for seed in range(3)]
    assert told == [drill.drawn(seed).told() for seed in range(3)]
    assert len(set(told)) == 3


@pytest.mark.parametrize("name", list(DRILLS))
def test_seed_never_changes_the_right_answer(name):
    """Cause, scope and expectations are the drill's, whatever is drawn."""
    drill = DRILLS.get(name, noun="drill")
    for seed in range(5):
        drawn = drill.drawn(seed)
        assert (drawn.cause, drawn.scope, drawn.expect) == (drill.cause, drill.scope, drill.expect)


def test_placebo_is_nothing_more_load_or_a_restart():
    """Three seeds in a row see all three kinds of no fault."""
    drill = DRILLS.get("placebo", noun="drill")
    kinds = {drill.drawn(seed).fault.kind for seed in range(3)}
    assert kinds == {"placebo", "more_load", "worker_restart"}


def test_only_old_folders_of_dead_runs_are_swept(tmp_path: Path):
    """Younger ones, sealed runs and links stay as they are."""
    for name in (".a.partial", ".b.partial", "20260301T120000Z-drill-x-abc"):
        (tmp_path / name).mkdir()
    (tmp_path / ".c.partial").symlink_to(tmp_path / "20260301T120000Z-drill-x-abc")
    made_s = (tmp_path / ".a.partial").stat().st_mtime
    os.utime(tmp_path / ".b.partial", (made_s + 50, made_s + 50))
    assert sweep(tmp_path, STAGING, old_s=100, now_s=made_s + 99) == ()
    assert sweep(tmp_path, STAGING, old_s=100, now_s=made_s + 101) == (".a.partial",)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".b.partial",
        ".c.partial",
        "20260301T120000Z-drill-x-abc",
    ]
    assert sweep(tmp_path / "absent", STAGING, old_s=0) == ()
