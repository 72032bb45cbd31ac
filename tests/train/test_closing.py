"""A round is closed against the board, and nobody is a rival by his own word."""

from __future__ import annotations

import json
import shutil

import pytest

from loomtriage.drills.result import RESULT_FILE
from loomtriage.errors import BundleDamaged
from loomtriage.sources.manifest import NAME
from loomtriage.train import board
from loomtriage.train.answers import Stamped, answers_from
from loomtriage.train.board import Kind
from loomtriage.train.offline import play_offline
from tests.train.rounds import RIGHT, order, pool_of


def quiet(_line):
    """Nobody listens."""


def answering(_opened):
    """A desk that is right at once."""
    return (Stamped(after_s=0.0, answers=answers_from(RIGHT)),)


def test_the_triage_is_no_rival_on_an_incident_of_its_own(tmp_path):
    """Where its own verdict is the truth it would always be right; the word count may lose."""
    pool = pool_of(tmp_path / "past", "es_down")
    manifest = pool / "es_down" / NAME
    content = json.loads(manifest.read_text())
    del content["files"][RESULT_FILE]
    manifest.write_text(json.dumps(content))
    (pool / "es_down" / RESULT_FILE).unlink()
    play_offline(order(tmp_path, pool), answering, say=quiet, opened=quiet)
    scored = board.read(tmp_path / "board")[-1]
    assert (scored.kind, scored.content["truth"]["drill"]) == (Kind.SCORED, "")
    assert set(scored.content["rivals"]) == {"log words"}


def test_a_promise_that_the_board_does_not_hold_is_not_called_kept(tmp_path):
    """The truth is compared with what stands on the board when it is told, not with a memory."""
    pool = pool_of(tmp_path / "past", "es_down")

    def swapping(opened):
        shutil.rmtree(tmp_path / "board")
        board.add(tmp_path / "board", Kind.OPENED, opened.id, limit_s=1, commit="0" * 64)
        return answering(opened)

    with pytest.raises(BundleDamaged, match="promised was 000000000000"):
        play_offline(order(tmp_path, pool), swapping, say=quiet, opened=quiet)
