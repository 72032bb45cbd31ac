"""The scoreboard tells progress with its sample size, ranks nobody on one round, says what next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from loomtriage.errors import BundleDamaged
from loomtriage.model import State
from loomtriage.train import board
from loomtriage.train.board import Kind
from loomtriage.train.scoreboard import Scoreboard, Taken, due, scoreboard
from loomtriage.train.spread import middle
from loomtriage.train.truth import promise
from tests.train.rounds import TRUTH

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def round_of(cause, said, *, n=0, total=50.0) -> Taken:
    """A scored round: what it was, what was said."""
    score = {
        "total": total,
        "right": cause == said,
        "brier": 0.2,
        "false_alarm": cause == "none" and said != "none",
        "parts": {"ground": 0.5},
        "times_s": {"TTD": 10.0 + n},
    }
    return Taken(who="ada", at=NOON + timedelta(hours=n), cause=cause, said=said, score=score)


def test_no_round_is_no_data(tmp_path):
    """An empty board says how to begin, and every table and chart can be shown."""
    shown = scoreboard(str(tmp_path))
    assert shown.verdict.state is State.NO_DATA
    assert "loomtriage train --offline" in shown.verdict.headline
    assert shown.table("measures").rows == shown.table("next").rows == ()
    assert shown.chart("scores").png == b""


def test_few_rounds_have_no_middle():
    """Below five rounds nobody is ranked; from five on the median comes with its interval."""
    assert middle([50, 60, 70]) == "2 more round(s)"
    assert middle([50, 60, 70, 80, 90]).startswith("70 (50 to 90)")
    assert middle([]) == "5 more round(s)"


def test_measures_count_what_was_taken():
    """Rounds, abandoned ones, right causes, and false alarms over the placebos only."""
    taken = [round_of("es_down", "es_down"), round_of("none", "es_429"), round_of("none", "none")]
    shown = Scoreboard(taken=tuple(taken), abandoned={"ada": 2})
    (row,) = shown.table("measures").rows
    assert (row[0], row[1], row[2], row[3], row[7]) == ("ada", "3", "2", "2 of 3", "1 of 2")


def test_programs_stand_below_the_people():
    """The triage and a dumb baseline took the same rounds, in rows of their own."""
    rival = replace(round_of("es_429", "es_429"), who="the triage")
    table = Scoreboard(taken=(round_of("es_429", "none"),), rivals=(rival,)).table("measures")
    assert [row[0:4] for row in table.rows] == [
        ("ada", "1", "0", "0 of 1"),
        ("the triage", "1", "0", "1 of 1"),
    ]
    assert "without a clock" in table.note


def test_confusion_shows_what_was_taken_for_what():
    """Each cause in its row, what was said in its column."""
    shown = Scoreboard(taken=(round_of("es_429", "es_down"), round_of("es_429", "es_429")))
    table = shown.table("confusion")
    assert table.columns[1:] == ("es_429", "es_down")
    assert table.rows == (("es_429", "1", "1"),)


def test_what_was_missed_comes_first():
    """A missed cause is due at once, one that was right twice only after four rounds."""
    taken = [
        round_of("es_down", "es_down"),
        round_of("es_down", "es_down"),
        round_of("es_429", "es_down"),
        round_of("none", "none"),
    ]
    assert [one[0] for one in due(taken)] == ["es_429"]
    assert [one[0] for one in due([*taken, *taken[3:], *taken[3:]])] == ["es_429", "es_down"]


def test_progress_is_drawn():
    """Scores and times are pictures with words for who cannot see them."""
    shown = Scoreboard(taken=tuple(round_of("es_down", "es_down", n=n) for n in range(6)))
    for name in ("scores", "times"):
        assert shown.chart(name).png.startswith(b"\x89PNG")
        assert shown.chart(name).alt
    assert {row[0]: row[1] for row in shown.table("times").rows}["TTD"] == "6"


def test_a_round_counts_once(tmp_path):
    """Two who find the same killed round, or a score that comes too late, change nothing."""
    for name in ("r1", "r2"):
        board.add(tmp_path, Kind.OPENED, name, who="ada", limit_s=300, commit="")
        board.add(tmp_path, Kind.ABANDONED, name, why="its director was killed")
    board.add(tmp_path, Kind.ABANDONED, "r1", why="its director was killed")
    board.add(tmp_path, Kind.SCORED, "r2", score={"total": 90.0}, truth={}, answers={})
    shown = scoreboard(str(tmp_path))
    assert (shown.taken, shown.abandoned) == ((), {"ada": 2})


def test_a_killed_writer_is_told(tmp_path):
    """What it left is accepted, and said beside the verdict."""
    board.add(tmp_path, Kind.OPENED, "r1", who="ada", limit_s=300, commit="")
    with (tmp_path / board.FILE).open("ab") as file:
        file.write(b"{")
    told = scoreboard(str(tmp_path)).verdict.findings
    assert [(one.check, one.state) for one in told][1] == ("board.end", State.WARN)


def test_an_edited_board_is_refused_by_name(tmp_path):
    """No figure is shown of a board on which a line was changed."""
    made = promise(TRUTH)
    board.add(tmp_path, Kind.OPENED, "r1", who="ada", limit_s=300, commit=made.commit)
    board.add(
        tmp_path, Kind.SCORED, "r1", score={"total": 10.0}, answers={"cause": "es_429"},
        truth=made.truth, nonce=made.nonce.hex(),
    )  # fmt: skip
    assert scoreboard(str(tmp_path)).table("measures").rows[0][3] == "0 of 1"
    path = tmp_path / board.FILE
    path.write_bytes(path.read_bytes().replace(b'"total":10.0', b'"total":99.0'))
    with pytest.raises(BundleDamaged, match=r"line 2 \(round r1\) was changed"):
        scoreboard(str(tmp_path))
