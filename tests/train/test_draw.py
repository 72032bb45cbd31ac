"""What a live round draws: its settings stand in many rounds, so that they tell none of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest

from loomtriage.drills.fault import Placebo
from loomtriage.train.live import DECOY, TOLD_BY_THE_PROCESS, DressedPlacebo, draw_drill
from loomtriage.train.ordering import LONGEST_S
from loomtriage.train.pool import Level
from loomtriage.train.rounds import LIMIT_S, Mode
from tests.train.rounds import order


@pytest.fixture(scope="module")
def drills(tmp_path_factory):
    """What four hundred seeds draw, by drill."""
    folder, found = tmp_path_factory.mktemp("draw"), defaultdict(list)
    for seed in range(400):
        ordered = replace(order(folder, folder), level=Level.FULL, seed=seed)
        one = draw_drill(ordered, ordered.draw())
        found[one.id].append(one)
    return found


def test_settings_do_not_tell_the_drill(drills):
    """What is a fault in mid-stream stands all along in rounds of all others, never of its own."""
    wearing = {
        name for name, ones in drills.items() if any("chronicle" in one.services for one in ones)
    }
    assert wearing | {"projection_version"} == set(drills)
    assert not any(DECOY.keys() & one.services.keys() for one in drills["projection_version"])
    dresses = {frozenset(one.services) - frozenset(DECOY) for one in drills["placebo"]}
    assert dresses == {frozenset(), frozenset({"worker"}), frozenset({"worker", "worker-2"})}


def test_a_placebo_is_proven_in_its_dress(drills):
    """Other settings that stood all along are no fault, and do not take its witness away."""
    plain = [one.fault for one in drills["placebo"] if isinstance(one.fault, Placebo)]
    assert plain
    assert all(isinstance(one, DressedPlacebo) for one in plain)


@pytest.mark.parametrize("limit_s", [LIMIT_S[Mode.LIVE], LONGEST_S])
def test_a_late_answer_crosses_no_bound(tmp_path, limit_s):
    """However long the time to answer is, no drill is aborted before it is over."""
    for seed in range(40):
        ordered = replace(order(tmp_path, tmp_path, limit_s=limit_s), seed=seed)
        drill = draw_drill(ordered, ordered.draw())
        assert drill.budget.max_s > limit_s
        assert drill.budget.max_failed_rows > drill.load.per_s * limit_s


def test_what_its_process_would_tell_is_not_drawn(drills):
    """A fault that is named by an environment comes in recorded rounds only."""
    assert not drills.keys() & TOLD_BY_THE_PROCESS.keys()
    assert len(drills) > 12
