"""A round in the lab: nothing tells the truth while the fault stands, and the lab is given back."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace

import httpx
import pytest

from loomtriage.drills.journal import journals, read
from loomtriage.lab.state import read_state
from loomtriage.settings import settings
from loomtriage.train import board
from loomtriage.train.answers import Stamped, answers_from
from loomtriage.train.board import Kind
from loomtriage.train.live import play_live
from loomtriage.train.rounds import LIMIT_S, GaveUp, Mode
from tests.train.rounds import RIGHT, order, seen, told

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(600)]


def quiet(_line):
    """Nobody listens."""


def live(folder, seed):
    """A live round that a seed repeats."""
    pool = order(folder, folder)
    return replace(pool, mode=Mode.LIVE, seed=seed, limit_s=LIMIT_S[Mode.LIVE])


def root_of(opened):
    """The folder of the round's lab."""
    return settings().home_dir() / "labs" / opened.source.partition(":")[2]


def telemetry(state):
    """Every series, span and file that the lab shows."""
    series = httpx.get(
        f"{state.prometheus_url}/api/v1/series", params={"match[]": '{__name__!=""}'}
    )
    yield "series", series.text
    bases = [p for p in state.root.rglob("*.sqlite*") if not p.name.endswith(("-wal", "-shm"))]
    assert bases
    for path in bases:
        with closing(sqlite3.connect(path)) as base:
            yield "spans", "\n".join(base.iterdump())
    for path in (path for path in state.logs.rglob("*") if path.is_file()):
        yield f"log {path.name}", path.read_text(errors="replace")


@pytest.mark.parametrize("seed", [11, 12, 16])
def test_nothing_tells_the_truth_of_a_live_round(tmp_path, seed):
    """Processes, environments, open files, logs, labels, spans, names: searched while it runs."""
    found = {}

    def desk(opened):
        state = read_state(root_of(opened))
        pids = (os.getpid(), state.supervisor_pid)
        texts = [pair for pid in pids for pair in seen(pid)]
        texts += [*telemetry(state), *told(opened.folder)]
        names = {path.name for path in state.root.rglob("*")}
        found["texts"] = [*texts, ("names", "\n".join(names))]
        return (Stamped(after_s=1.0, answers=answers_from(RIGHT)),)

    closed = play_live(live(tmp_path, seed), desk, say=quiet, opened=quiet)
    drill = closed.truth["drill"]
    words = [drill, "placebo", "drill-", "fault_id"]
    leaks = {
        (where, word)
        for where, text in found["texts"]
        for word in words
        # A column or a span attribute of the pipeline may have the name of a drill.
        if word in text and word != "projection_version"
    }
    assert leaks == set()
    assert closed.score.times["TTR"] is not None
    assert [one.kind for one in board.read(tmp_path / "board")] == [Kind.OPENED, Kind.SCORED]
    assert not [path for path in journals(settings().home_dir()) if read(path).is_open]


def test_a_live_round_that_is_left_restores_the_lab(tmp_path):
    """No answer, no score, and no fault left standing."""

    def leave(_opened):
        raise GaveUp("the trainee left")

    with pytest.raises(GaveUp, match="the trainee left"):
        play_live(live(tmp_path, 11), leave, say=quiet, opened=quiet)
    entries = board.read(tmp_path / "board")
    assert [one.kind for one in entries] == [Kind.OPENED, Kind.ABANDONED]
    assert not [path for path in journals(settings().home_dir()) if read(path).is_open]
