"""A pool draws what it holds: one round in five is healthy, by what is true of each run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from loomtriage.drills.book import DRILLS
from loomtriage.errors import UsageError
from loomtriage.train.contest import hold
from loomtriage.train.pool import Level, Recorded, lacking, pick
from loomtriage.train.truth import Truth, drill_of, truth_of
from tests.train.rounds import EXAMPLES


def drilled(name) -> Recorded:
    """The recorded run of a drill."""
    truth = truth_of(DRILLS.get(name, noun="drill"), run=name)
    return Recorded(folder=EXAMPLES / name, truth=truth)


def own(name, cause) -> Recorded:
    """A recorded incident that is no drill."""
    return Recorded(folder=Path(name), truth=Truth(drill="", run=name, causes=(cause,)))


def drawn(pool, level=Level.BASIC, rounds=400) -> list[str]:
    """What a pool gives in that many rounds."""
    draw = Random(1)
    found = [
        pick(pool, lambda one: drill_of(one.truth.as_json()), level=level, draw=draw)
        for _ in range(rounds)
    ]
    return [one.folder.name for one in found]


def test_one_round_in_five_is_healthy_whoever_recorded_it():
    """An own healthy incident is a placebo, however many of them the pool holds."""
    pool = [own(f"calm-{n}", "none") for n in range(8)] + [own("down", "es_down")]
    calm = sum(name.startswith("calm") for name in drawn(pool))
    assert 50 < calm < 110


def test_a_pool_without_a_healthy_run_says_so():
    """No round of it can be a placebo, which whoever plays it should know."""
    assert "no round of it is a placebo" in lacking([own("down", "es_down")])
    assert lacking([own("down", "es_down"), own("calm", "none")]) == ""


def test_two_faults_alone_are_a_pool():
    """A folder of nothing but hard drills can be drawn from at each draw, at its level only."""
    pool = [drilled("es_429_and_poison"), drilled("stuck_in_the_dark")]
    assert set(drawn(pool, Level.ADVANCED)) == {"es_429_and_poison", "stuck_in_the_dark"}
    for healthy in ([], [drilled("placebo")]):
        for _ in range(20):
            with pytest.raises(UsageError, match="at level basic"):
                drawn([*pool, *healthy], rounds=1)


def test_an_incident_that_is_no_drill_is_not_graded():
    """The triage is never right by its own verdict; how many runs that leaves out is said."""
    heard = []
    pool = [drilled("placebo"), replace(drilled("es_down"), truth=own("x", "es_down").truth)]
    told = hold(pool, rounds=6, seed=1, again=False, say=heard.append)
    assert {heat.run.truth.drill for heat in told.heats} == {"placebo"}
    assert "1 run(s) left out" in heard[0]
    assert "1 run(s) left out" in told.figures().note
    assert told.as_json()["left_out"] == 1
