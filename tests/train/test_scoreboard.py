"""The scoreboard tells progress with its sample size, ranks nobody on one round, says what next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from loomtriage.errors import BundleDamaged
from loomtriage.model import State
from loomtriage.train import board
from loomtriage.train.board import Kind
from loomtriage.train.scoreboard import Scoreboard, scoreboard
from loomtriage.train.taken import Taken, due
from loomtriage.train.truth import promise
from tests.train.rounds import TRUTH

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def round_of(cause, said, *, n=0, total=50.0, brier=0.2) -> Taken:
    """A scored round: what it was, what was said."""
    score = {
        "total": total,
        "right": cause == said,
        "brier": brier,
        "false_alarm": cause == "none" and said != "none",
        "parts": {"ground": 0.5, "localise": 1.0},
        "times_s": {"TTD": 10.0 + n},
    }
    return Taken(who="ada", at=NOON + timedelta(hours=n), cause=cause, said=said, score=score)


def measured(taken, **kept) -> list[dict[str, str]]:
    """The rows of the measures, by column."""
    table = Scoreboard(taken=tuple(taken), **kept).table("measures")
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_no_round_is_no_data(tmp_path):
    """An empty board says how to begin, and every table and chart can be shown."""
    shown = scoreboard(str(tmp_path))
    assert shown.verdict.state is State.NO_DATA
    assert "loomtriage train --offline" in shown.verdict.headline
    assert shown.table("measures").rows == shown.table("next").rows == ()
    assert shown.chart("scores").png == b""


def test_measures_count_what_was_taken():
    """Rounds, abandoned ones, right causes, and false alarms over the placebos only."""
    taken = [round_of("es_down", "es_down"), round_of("none", "es_429"), round_of("none", "none")]
    (row,) = measured(taken, abandoned={("ada", ""): 2})
    told = [row[key] for key in ("who", "rounds", "abandoned", "cause right", "placebo alarms")]
    assert told == ["ada", "3", "2", "2 of 3", "1 of 2"]


def test_a_brier_score_is_a_mean():
    """One bold mistake counts, as it does beside the triage; an interval comes from five on."""
    taken = [round_of("es_down", "es_down", brier=brier) for brier in (0, 0, 0, 0, 1.0)]
    (row,) = measured(taken)
    assert row["Brier"].startswith("0.20 (0.00 to 0.")
    (row,) = measured(taken[:4])
    assert row["Brier"] == "1 more round(s)"


def test_a_seeded_round_is_counted_and_not_measured():
    """Whoever gave the seed may have seen the round before; it is in no figure."""
    seeded = replace(round_of("es_down", "es_down", total=100.0), is_seeded=True)
    taken = [*(round_of("es_down", "es_429", total=n) for n in range(5)), seeded]
    (row,) = measured(taken)
    keys = ("rounds", "seeded, not measured", "cause right")
    assert [row[key] for key in keys] == ["5", "1", "0 of 5"]
    assert row["score"].startswith("2 ")
    shown = Scoreboard(taken=tuple(taken))
    assert "1 seeded round(s) are not measured" in shown.verdict.headline
    assert {row[0]: row[1] for row in shown.table("times").rows}["TTD"] == "5 of 5"
    assert Scoreboard(taken=(seeded,)).verdict.state is State.NO_DATA


def test_the_lab_and_recordings_are_measured_apart():
    """Their limits differ, so that one figure of both would tell nothing."""
    taken = [replace(round_of("es_down", "es_down"), mode=mode) for mode in ("live", "offline")]
    rows = measured(taken, abandoned={("ada", "live"): 1})
    assert [(row["who"], row["rounds"], row["abandoned"]) for row in rows] == [
        ("ada, live", "1", "1"),
        ("ada, offline", "1", "0"),
    ]
    times = Scoreboard(taken=tuple(taken)).table("times").rows
    assert [row[:2] for row in times[:2]] == [("TTD, live", "1 of 1"), ("TTD, offline", "1 of 1")]


def test_what_was_not_reached_is_longer_than_the_limit():
    """A moment that seldom comes is not told by the few rounds in which it came."""
    came = [round_of("es_down", "es_down", n=n) for n in range(2)]
    lost = [replace(one, score={**one.score, "times_s": {"TTD": None}}) for one in came] * 2
    rows = {row[0]: row[1:] for row in Scoreboard(taken=(*came, *lost)).table("times").rows}
    assert rows["TTD"] == ("2 of 6", "> limit (10 to > limit)")
    assert rows["TTR"] == ("0 of 0", "5 more round(s)"), "where no lab is, none is restored"


def test_both_of_two_faults_are_a_share_of_their_own():
    """Naming one of two is right, and is not all; nobody else's rounds are in that share."""
    two = ("es_429", "es_poison_4xx")
    said = ("es_429", "es_429, es_poison_4xx")
    taken = [replace(round_of(one, one), faults=two) for one in said]
    (row,) = measured([*taken, round_of("es_down", "es_down")])
    assert (row["cause right"], row["both faults named"]) == ("3 of 3", "1 of 2")


def test_who_says_every_cause_has_named_none():
    """With wrong causes beside them both faults are missed, and a fault alone comes again."""
    two, shotgun = ("es_429", "es_poison_4xx"), "es_429, es_poison_4xx, es_down, es_5xx"
    (row,) = measured([replace(round_of("es_429", shotgun), faults=two)])
    assert (row["cause right"], row["both faults named"]) == ("0 of 1", "0 of 1")
    alone = replace(round_of("es_down", "es_429, es_down, es_5xx"), faults=("es_down",))
    (missed,) = due([alone] * 3)
    assert missed[:3] == ("es_down", 3, 3)


def test_programs_stand_below_the_people():
    """The triage and a dumb baseline took the same rounds, in rows of their own."""
    rival = replace(round_of("es_429", "es_429"), who="the triage")
    table = Scoreboard(taken=(round_of("es_429", "none"),), rivals=(rival,)).table("measures")
    assert [(row[0], row[1], row[4]) for row in table.rows] == [
        ("ada", "1", "0 of 1"),
        ("the triage", "1", "1 of 1"),
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


def test_a_missed_second_fault_comes_again():
    """Of two faults at once the one that was not named is due, the other was right."""
    two = replace(round_of("es_429", "es_429"), faults=("es_429", "es_poison_4xx"))
    (missed,) = due([two])
    assert missed[:3] == ("es_poison_4xx", 1, 1)


def test_what_comes_next_is_each_ones_own():
    """What one person missed another has not to train, nor is it later for the rounds of others."""
    ada = [round_of("es_429", "es_down")]
    bob = [replace(round_of("es_429", "es_429"), who="bob")] * 2
    assert [row[:2] for row in Scoreboard(taken=(*ada, *bob)).table("next").rows] == [
        ("ada", "es_429")
    ]


def test_progress_is_drawn():
    """Scores and times are pictures with words for who cannot see them."""
    shown = Scoreboard(taken=tuple(round_of("es_down", "es_down", n=n) for n in range(6)))
    for name in ("scores", "times"):
        assert shown.chart(name).png.startswith(b"\x89PNG")
        assert shown.chart(name).alt
    assert {row[0]: row[1] for row in shown.table("times").rows}["TTD"] == "6 of 6"


def test_a_round_counts_once(tmp_path):
    """Two who find the same killed round, or a score that comes too late, change nothing."""
    for name in ("r1", "r2"):
        board.add(tmp_path, Kind.OPENED, name, who="ada", limit_s=300, commit="")
        board.add(tmp_path, Kind.ABANDONED, name, why="its director was killed")
    board.add(tmp_path, Kind.ABANDONED, "r1", why="its director was killed")
    assert scoreboard(str(tmp_path)).abandoned == {("ada", ""): 2}
    made = promise(TRUTH)
    board.add(tmp_path, Kind.OPENED, "r3", who="ada", limit_s=300, commit=made.commit)
    board.add(tmp_path, Kind.ABANDONED, "r3", why="its director was killed")
    told = {"truth": made.truth, "nonce": made.nonce.hex()}
    board.add(tmp_path, Kind.SCORED, "r3", score={"total": 90.0}, answers={}, **told)
    shown = scoreboard(str(tmp_path))
    assert (shown.taken, shown.abandoned) == ((), {("ada", ""): 3})


def test_how_a_round_was_drawn_is_read_from_the_board(tmp_path):
    """Mode and seed stand in the line that opened it, the faults in the truth."""
    for name, drawn in (("r1", "by chance"), ("r2", "seed 7")):
        made = promise(replace(TRUTH, causes=("es_429", "es_down"), faults=("es_429", "es_down")))
        board.add(tmp_path, Kind.OPENED, name, who="ada", mode="live", drawn=drawn,
                  limit_s=300, commit=made.commit)  # fmt: skip
        board.add(tmp_path, Kind.SCORED, name, score={}, answers={}, truth=made.truth,
                  nonce=made.nonce.hex())  # fmt: skip
    taken = scoreboard(str(tmp_path)).taken
    assert [(one.mode, one.is_seeded) for one in taken] == [("live", False), ("live", True)]
    assert taken[0].faults == ("es_429", "es_down")


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
    assert scoreboard(str(tmp_path)).table("measures").rows[0][4] == "0 of 1"
    path = tmp_path / board.FILE
    path.write_bytes(path.read_bytes().replace(b'"total":10.0', b'"total":99.0'))
    with pytest.raises(BundleDamaged, match=r"line 2 \(round r1\) was changed"):
        scoreboard(str(tmp_path))
