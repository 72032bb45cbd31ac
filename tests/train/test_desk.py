"""In a terminal the six questions are asked one by one, and a look is no answer."""

from __future__ import annotations

import pytest

from loomtriage.errors import UsageError
from loomtriage.train.desk import by_asking
from loomtriage.train.pool import Level
from loomtriage.train.rounds import GaveUp, Mode, Opened
from tests.train.rounds import RIGHT


def _opened(folder):
    return Opened(
        id="r",
        commit="",
        mode=Mode.OFFLINE,
        level=Level.BASIC,
        source="",
        folder=folder,
        limit_s=20,
    )


def asked(tmp_path, lines, *, heard=None, looked=None):
    """The sheet that these lines come to."""
    left = iter(lines)

    def read_line(_prompt, _within_s):
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    def look(_opened, what):
        if what == "nowhere":
            raise UsageError("Nothing is called nowhere.", hint="Look elsewhere.")
        (looked if looked is not None else []).append(what)
        return "seen"

    say = (heard if heard is not None else []).append
    return by_asking(read_line, say=say, look=look)(_opened(tmp_path))


def test_questions_come_one_by_one(tmp_path):
    """Each answer is stamped; looks go between, and what is not understood is asked again."""
    heard, looked = [], []
    lines = ["?narrow", "yes", "?nowhere", "host=x", *[str(v) for v in RIGHT.values()][1:]]
    sheet = asked(tmp_path, lines, heard=heard, looked=looked)
    final = sheet[-1].answers
    assert final.model_dump() == RIGHT
    assert final.lacks == ()
    assert looked == ["narrow"]
    assert [line.partition(" ")[0] for line in heard] == ["seen", "Nothing", "scope:"]
    assert [one.after_s for one in sheet] == sorted(one.after_s for one in sheet)


def test_a_step_back_asks_again(tmp_path):
    """A wrong word can be taken back before all is said; it stays on the sheet as it was."""
    lines = ["yes", "none", "PUT", "es_429", "<", "es_down", "wait", "0.5", ""]
    sheet = asked(tmp_path, lines)
    assert sheet[-1].answers.cause == "es_down"
    assert "es_429" in [one.answers.cause for one in sheet]


def test_who_sees_nothing_wrong_is_asked_no_further(tmp_path):
    """Calm needs two answers."""
    assert asked(tmp_path, ["no", "0.9"])[-1].answers.wrong == "no"


def test_an_input_that_ends_abandons(tmp_path):
    """Nobody there, no score."""
    with pytest.raises(GaveUp, match="left"):
        asked(tmp_path, ["yes"])
