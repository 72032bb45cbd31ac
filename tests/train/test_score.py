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
TWO = truth_of(DRILLS.get("es_429_and_poison", noun="drill"), run="x")
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
        ({"wrong": "no", "cause": ""}, 65.0),  # without detect, and nothing has a ground
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
    """A remedy at the limit is worth half; it counts from where it stands, not the last word."""
    late = given(100.0)
    assert total(TRUTH, late) == 50.0
    assert total(TRUTH, given(0.0, sure=0.1), late) == 100.0


def test_a_guess_that_was_given_up_on_buys_no_time():
    """A remedy that was said, taken back and said again stands since it was said again."""
    guess = Stamped(after_s=0.0, answers=Answers(do="wait"))
    other = Stamped(after_s=1.0, answers=Answers(do="scale"))
    assert total(TRUTH, guess, other, given(100.0)) == 50.0
    assert total(TRUTH, guess, given(100.0)) == 100.0
    moved = given(1.0, cause="es_429", scope="none"), given(5.0)
    times = score(TRUTH, (given(), *moved), limit_s=100, proven=WHOLE).times
    assert (times["TTD"], times["TTL"], times["TTX"]) == (0, 5, 5)


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


@pytest.mark.parametrize(
    ("cause", "right", "named", "ground"),
    [
        ("es_429", True, 1, 0.5),
        ("es_poison_4xx es_429_inject", True, 2, 1.0),
        ("es_429, es_down", False, 0, 0.0),
        ("es_429, es_poison_4xx, es_down, es_5xx", False, 0, 0.0),
        ("es_down", False, 0, 0.0),
    ],
)
def test_each_of_two_faults_counts(cause, right, named, ground):
    """Who names one of two is right and has half the ground; beside a wrong one none is named."""
    found = score(TWO, (given(cause=cause),), limit_s=100, proven=WHOLE)
    parts = {part.name: part.value for part in found.parts}
    assert (found.right, found.named, parts["ground"]) == (right, named, ground)
    assert ("faults named", "", f"{named} of 2") in [row[:3] for row in found.table().rows]
    assert (found.as_json()["named"], found.as_json()["faults"]) == (named, 2)


def test_where_the_signals_do_not_say_why_a_person_may():
    """Slow without a word is `unknown` for the triage; `es_slow`, which the card says, is right."""
    for cause, right in (("unknown", True), ("es_slow", True), ("es_down", False)):
        assert score(HARD, (given(cause=cause),), limit_s=100, proven=WHOLE).right is right
    assert "es_slow" not in HARD.causes


def test_the_remedy_is_told_in_the_words_of_the_drill():
    """Beside the words of the form stands what the drill says is to be done."""
    told = {part.name: part.says for part in score(TWO, (given(),), limit_s=1, proven=WHOLE).parts}
    assert "repair the poison" in told["mitigate"]


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
        ({"wrong": "no", "cause": "es_down"}, "cause"),
        ({"wrong": "no", "cause": "unknown"}, "cause"),
        ({"wrong": "yes", "cause": "placebo"}, "cause"),
        ({"cause": "es_429, unknown"}, "cause"),
        ({"cause": "es_429, gremlins"}, "cause"),
        ([], "the answers"),
    ],
)
def test_what_is_not_understood_is_said(answers, says):
    """A wrong word is refused by the name of its question."""
    with pytest.raises(UsageError, match=rf"^{says}: "):
        answers_from(answers)


def test_half_of_the_answers_contradict_nothing():
    """Answers come one by one; only what is there is compared, and a correction is heard."""
    for partial in ({"cause": "none"}, {"cause": "es_down"}, {"wrong": "no"}):
        answers_from(partial)
    assert answers_from({"wrong": "no", "cause": "placebo"}).causes == ("none",)
    assert answers_from({"wrong": "no", "cause": ""}).causes == ("none",)
    assert answers_from({"cause": "es_429_inject es_429, es_poison_4xx"}).causes == (
        "es_429",
        "es_poison_4xx",
    )
