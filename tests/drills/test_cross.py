"""The cross-matrix of drills and expectations."""

from __future__ import annotations

import json

import pytest

from loomtriage.drills.book import DRILLS
from loomtriage.drills.cross import cross_table, fits, has_signature, strangers
from loomtriage.drills.expect import Observed
from loomtriage.drills.grading import Board, Round
from loomtriage.drills.meter import Reading, Span
from loomtriage.drills.spread import Counted
from loomtriage.settings import shipped
from tests.drills.rehearsal import now

EXAMPLES = shipped("runbooks/examples")
KINDS = ("rises", "falls", "flat", "appears", "absent")


def drill(name):
    return DRILLS.get(name, noun="drill")


@pytest.mark.parametrize("name", list(DRILLS))
def test_performance_meets_its_own_expectations_and_those_of_no_other_cause(name):
    """Every recorded drill moved what it promised, and nothing that another cause promises."""
    result = json.loads((EXAMPLES / name / "drill.json").read_text())
    assert (name in result["fits"]) is has_signature(drill(name))
    assert strangers(drill(name), result["fits"]) == ()


@pytest.mark.parametrize("name", list(DRILLS))
def test_what_was_recorded_as_met_is_what_the_book_asks_today(name):
    """A recorded figure stands for today's expectations, each of them, and agrees with them."""
    result = json.loads((EXAMPLES / name / "drill.json").read_text())
    states = {one["check"]: one["state"] for one in result["expectations"]}
    asked = [f"drill.{one.name}" for one in drill(name).expect]
    expected = [check for check in states if check.split(".", 1)[1].split(" ")[0] in KINDS]
    assert expected == asked
    is_met = all(states[check] == "OK" for check in asked)
    assert (name in result["fits"]) is (is_met and has_signature(drill(name)))


def test_placebo_meets_nobodys_expectations():
    """Where nothing happened no drill's promise is kept."""
    assert json.loads((EXAMPLES / "placebo" / "drill.json").read_text())["fits"] == []


def test_silence_meets_nobodys_expectations():
    """Processes that expose nothing prove nothing, not even what is expected to be absent."""
    silent = Reading(at=now(), values={}, families={"worker": frozenset()})
    span = Span(before=silent, after=silent)
    assert fits(Observed(baseline=span, fault=span)) == ()


def test_table_shows_strangers_by_name():
    """A drill that looks like another cause is shown beside the diagonal."""
    table = cross_table({"es_down": ("es_down", "db_contention"), "es_429": ("es_429_forced",)})
    assert table.rows == (
        ("es_down", "yes", "none", "db_contention"),
        ("es_429", "NO", "es_429_forced", "none"),
    )


def test_one_round_that_fails_its_own_and_one_stranger_are_seen_among_many():
    """Over several rounds a drill must meet its own in each, and no stranger in any."""
    rounds = [
        Round(
            drill="es_down",
            seed=seed,
            accepted=("es_down",),
            answer="es_down",
            is_valid=True,
            is_placed=True,
            counted=Counted(drill="es_down", state="ok", counts={}),
            fits=met,
        )
        for seed, met in enumerate([("es_down",), ("es_429",), ("es_down", "slow_es")])
    ]
    table = Board(rounds=tuple(rounds), invalid=0).cross()
    assert table.rows == (("es_down", "NO", "none", "es_429, slow_es"),)
