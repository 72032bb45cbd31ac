"""A round in a notebook: the truth is in another process, and a notebook that closes ends it."""

from __future__ import annotations

import pytest

from loomtriage import Answers, open_round
from loomtriage.errors import TriageError, UsageError
from loomtriage.model import State
from loomtriage.settings import settings
from loomtriage.train import board
from loomtriage.train.board import Kind
from tests.train.rounds import RIGHT, pool_of


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A place of its own for runs and board."""
    monkeypatch.setenv("LOOMTRIAGE_RUNS", str(tmp_path / "runs"))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_a_round_from_opening_to_score(folder):
    """Half the answers are not handed in; all of them score, and the debrief is named."""
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
