"""A round in a notebook: the truth is in another process, and a notebook that closes ends it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile

import pytest

from loomtriage import Answers, open_round
from loomtriage.errors import TriageError, UsageError
from loomtriage.model import State
from loomtriage.settings import settings
from loomtriage.train import board
from loomtriage.train.board import Kind
from loomtriage.train.desk import from_file
from loomtriage.train.offline import play_offline
from loomtriage.train.trainee import Round, _heard
from tests.train.rounds import RIGHT, order, pool_of

ABANDONED = {"kind": "abandoned", "why": "the time of 1 s was up"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A place of its own for runs and board."""
    monkeypatch.setenv("LOOMTRIAGE_RUNS", str(tmp_path / "runs"))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_a_round_from_opening_to_score(folder):
    """Half the answers do not end it; all of them score, and the debrief is named."""
    pool = pool_of(folder / "past", "es_down")
    blind = open_round(source=str(pool), board=str(folder / "team"), who="ada", seed="3")
    assert blind.told["commit"] in blind._repr_html_()
    assert "es_unreachable" in blind.look("narrow").verdict.headline
    half = blind.submit(Answers(wrong="yes"))
    assert half.verdict.state is State.NO_DATA
    assert half.table("score").rows == ()
    reveal = blind.submit(Answers(**RIGHT))
    assert reveal.verdict.state is State.OK
    assert "es_down" in reveal.verdict.headline
    assert {row[0] for row in reveal.table("score").rows} >= {"detect", "localise", "score"}
    assert [row[0] for row in reveal.table("timers").rows] == ["TTD", "TTL", "TTX", "TTM", "TTR"]
    assert reveal.debrief.rows[0][1].endswith("debrief.html")
    assert blind.submit(Answers(wrong="no", sure=1.0)) is reveal, "what was handed in stays"
    with pytest.raises(UsageError, match="no table"):
        reveal.table("truth")
    kinds = [(one.kind, one.content.get("looks")) for one in board.read(folder / "team")]
    assert kinds == [(Kind.OPENED, None), (Kind.SCORED, ["narrow"])]


def round_in(folder, said, *, ends) -> Round:
    """A round in that folder whose director has told only this, and ends now or never."""
    program = f"print({json.dumps(said)!r}, flush=True); {ends or 'input()'}"
    director = subprocess.Popen(
        (sys.executable, "-c", program), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if ends:
        director.wait()
    return Round(told={"folder": str(folder)}, director=director, errors=io.StringIO())


def test_each_answer_has_its_own_time(folder):
    """What is handed in first is stamped first, and a notebook's timers are those of a terminal."""
    half = Answers(wrong="yes", scope=RIGHT["scope"], step="PUT")
    given, notebooks, heard = iter((half, Answers(**RIGHT))), [], []

    def desk(opened):
        notebooks.append(round_in(opened.folder, ABANDONED, ends=""))

        def hand_in() -> bool:
            heard.append(notebooks[0].submit(next(given)).verdict.headline)
            return False

        return from_file(say=heard.append, is_gone=hand_in)(opened)

    pool = pool_of(folder / "past", "es_down")
    closed = play_offline(order(folder, pool), desk, say=lambda _: None, opened=lambda _: None)
    notebooks[0].director.communicate("")
    assert "cause" in heard[0]
    times = closed.score.times
    assert times["TTD"] == times["TTL"] < times["TTX"] == times["TTM"]


def test_what_comes_too_late_hears_that_the_round_is_over(folder):
    """Half the answers after the time is up are not told that the clock goes on."""
    late = round_in(folder, ABANDONED, ends="exit()")
    reveal = late.submit(Answers(wrong="yes"))
    assert "the time of 1 s was up" in reveal.verdict.headline
    assert late.submit(Answers(**RIGHT)) is reveal


def test_a_director_that_fails_says_why():
    """The last line of what went wrong reaches the notebook."""
    program = (sys.executable, "-c", "raise OSError('no room left')")
    with tempfile.TemporaryFile("w+") as errors:
        director = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=errors, text=True)
        told = _heard(director, errors)
    assert told["why"] == "its director ended: OSError: no room left"


def test_runs_that_cannot_be_kept_are_said(folder):
    """A file in the place of the runs folder is named in the notebook too."""
    (folder / "runs").write_text("")
    with pytest.raises(TriageError, match="runs cannot take the folder of a round"):
        open_round(source=str(pool_of(folder / "past", "placebo")), board=str(folder / "team"))


def test_a_closed_notebook_abandons_its_round(folder):
    """When nobody can answer any more, the director ends and says so on the board."""
    pool = pool_of(folder / "past", "placebo")
    blind = open_round(source=str(pool), board=str(folder / "team"))
    blind.director.stdout.close()
    blind.director.stdin.close()
    assert blind.director.wait(20) == 0, "that nobody listens any more stops nothing"
    entries = board.read(folder / "team")
    assert [one.kind for one in entries] == [Kind.OPENED, Kind.ABANDONED]
    assert entries[-1].content["why"] == "the trainee left"


def test_a_round_that_cannot_start_says_why(folder):
    """A folder without runs, and a word that is no mode, are refused before any clock runs."""
    (folder / "past").mkdir()
    with pytest.raises(TriageError, match="holds no recorded run"):
        open_round(source=str(folder / "past"), board=str(folder / "team"))
    with pytest.raises(UsageError, match="is no round"):
        open_round(mode="dead")
