"""A score is the sum of its parts, and each part says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loomtriage.drills.book import DRILLS
from loomtriage.errors import UsageError
from loomtriage.train.answers import Answers, Stamped, answers_from
from loomtriage.train.score import WEIGHTS, Proven, score
from loomtriage.train.truth import truth_of
from tests.train.rounds import RIGHT, TRUTH

PLACEBO = truth_of(DRILLS.get("placebo", noun="drill"), run="x")
HARD = truth_of(DRILLS.get("slow_es", noun="drill"), run="x")
WHOLE = Proven(grounded=1.0, says="all")


def given(after_s: float = 0.0, **answers) -> Stamped:
    """Answers at one moment: the right ones, but for these."""
    return Stamped(after_s=after_s, answers=answers_from({**RIGHT, **answers}))


def total(truth, *sheet, proven=WHOLE, hints=0) -> float:
    """What these answers come to."""
    return round(score(truth, sheet, limit_s=100, proven=proven, hints=hints).total, 1)


def test_weights_come_to_one():
    """The parts share the whole score."""
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, 100.0),  # everything right at once
        ({"wrong": "no"}, 85.0),  # without detect
        ({"scope": ""}, 80.0),  # one of three places: 0.30 * 1/3
        ({"scope": "projection=search_index_to_elastic reason=rate_limited"}, 85.0),  # 2 of 4
        ({"cause": "es_429"}, 80.0),  # a wrong cause has no ground
        ({"do": "scale"}, 75.0),
        ({"do": "wait, replay"}, 90.0),
    ],
)
def test_each_part_costs_its_weight(answers, expected):
    """What is wrong costs the weight of its part, and nothing else."""
    assert total(TRUTH, given(**answers)) == expected


def test_an_alias_is_as_good():
    """Wordloom's own name of a reason is the same place."""
    scope = "projection=search_index_to_elastic reason=es_connect"
    assert total(TRUTH, given(scope=scope)) == 100.0


def test_time_halves_the_score():
    """A remedy at the limit is worth half; the first right answer counts, not the last word."""
    late = given(100.0)
    assert total(TRUTH, late) == 50.0
    assert total(TRUTH, given(0.0, sure=0.1), late) == 100.0


def test_hints_cost_a_tenth_each():
    """Two hints leave 81 of 100."""
    assert total(TRUTH, given(), hints=2) == 81.0


def test_a_placebo_called_a_fault_is_worth_nothing():
    """Whatever else was said; calm is worth everything; abstaining is no false alarm."""
    alarm = score(PLACEBO, (given(),), limit_s=100, proven=Proven())
    assert (alarm.total, alarm.false_alarm) == (0.0, True)
    calm = Stamped(after_s=0, answers=Answers(wrong="no", sure=0.8))
    found = score(PLACEBO, (calm,), limit_s=100, proven=Proven())
    assert (found.total, found.right, found.false_alarm) == (100.0, True, False)
    assert found.brier == pytest.approx(0.04)
    unsure = given(cause="unknown")
    assert not score(PLACEBO, (unsure,), limit_s=100, proven=Proven()).false_alarm


def test_where_no_rule_knows_unknown_is_right():
    """What nobody can know is not judged, and the other parts share its weight."""
    found = score(HARD, (given(cause="unknown"),), limit_s=100, proven=Proven())
    assert (found.right, found.abstained) == (True, False)
    assert {part.name for part in found.parts if part.value is not None} == {"detect"}
    assert found.total == 100.0


def test_abstaining_is_no_wrong_cause():
    """`unknown` scores nothing for the cause, and is not counted as confidence."""
    found = score(TRUTH, (given(cause="unknown"),), limit_s=100, proven=WHOLE)
    assert (found.right, found.abstained, found.brier) == (False, True, None)


def test_timers_say_when_each_answer_first_stood():
    """Detection, place, cause and remedy have times of their own; what never came has none."""
    sheet = (
        Stamped(after_s=1, answers=Answers(wrong="yes")),
        Stamped(after_s=2, answers=Answers(wrong="yes", cause="es_429")),
        given(3, do="scale"),
    )
    times = score(TRUTH, sheet, limit_s=100, proven=replace(WHOLE, restored_s=9.0)).times
    assert times == {"TTD": 1, "TTL": 3, "TTX": 3, "TTM": None, "TTR": 9.0}


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"wrong": "maybe"}, "wrong"),
        ({"scope": "host=x"}, "scope"),
        ({"cause": "gremlins"}, "cause"),
        ({"do": "pray"}, "do"),
        ({"sure": 2}, "sure"),
        ({"guess": "x"}, "guess"),
        ([], "the answers"),
    ],
)
def test_what_is_not_understood_is_said(answers, says):
    """A wrong word is refused by the name of its question."""
    with pytest.raises(UsageError, match=rf"^{says}: "):
        answers_from(answers)
