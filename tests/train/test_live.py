"""A round in the lab: nothing tells the truth while the fault stands, and the lab is given back."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace

import httpx
import pytest

from loomtriage import open_round
from loomtriage.drills.journal import journals, read
from loomtriage.errors import Exit, UsageError
from loomtriage.lab.state import read_state
from loomtriage.settings import settings
from loomtriage.train import board
from loomtriage.train.answers import Stamped, answers_from
from loomtriage.train.board import Kind
from loomtriage.train.live import play_live
from loomtriage.train.rounds import LIMIT_S, GaveUp, Mode, sweep
from tests.train.rounds import EXAMPLES, RIGHT, order, seen, start, told

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(600)]


def quiet(_line):
    """Nobody listens."""


def live(folder, seed):
    """A live round that a seed repeats."""
    pool = order(folder, folder)
    return replace(pool, mode=Mode.LIVE, seed=seed, limit_s=LIMIT_S[Mode.LIVE])


def root_of(opened):
    """The folder of the round's lab."""
    return root(opened.as_json())


def root(told):
    """The folder of the lab of a round that was told."""
    return settings().home_dir() / "labs" / told["source"].partition(":")[2]


def open_faults(lab_root):
    """Fault journals of that lab that were never closed."""
    found = [read(path) for path in journals(settings().home_dir())]
    return [one for one in found if one.is_open and str(lab_root) in str(one.records[0].detail)]


def abandoned(folder):
    """Why the one round of that board does not score."""
    opened, closed = board.read(folder)
    assert (opened.kind, closed.kind) == (Kind.OPENED, Kind.ABANDONED)
    return closed.content["why"]


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


@pytest.mark.parametrize("seed", [3, 11, 12, 16])
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
    assert set(board.read(tmp_path / "board")[-1].content["rivals"]) == {"the triage", "log words"}
    assert not open_faults(root_of(closed.opened))


def test_a_live_round_that_is_left_restores_the_lab(tmp_path):
    """No answer, no score, and no fault left standing."""
    seen_once = []

    def leave(opened):
        seen_once.append(opened)
        raise GaveUp("the trainee left")

    with pytest.raises(GaveUp, match="the trainee left"):
        play_live(live(tmp_path, 11), leave, say=quiet, opened=quiet)
    assert abandoned(tmp_path / "board") == "the trainee left"
    assert not open_faults(root_of(seen_once[0]))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGHUP, Exit.HANGUP)]
)
def test_an_ended_live_round_restores_the_lab(tmp_path, number, code):
    """Ctrl-C and a terminal that goes away take the fault back first, and nothing scores."""
    process, opened = start(tmp_path, EXAMPLES, mode=Mode.LIVE)
    process.stderr.close()  # nobody reads any more, and the lab is given back all the same
    process.send_signal(number)
    assert process.wait(120) == code
    assert number.name in abandoned(tmp_path / "board")
    assert not open_faults(root(opened))
    assert not root(opened).exists()


def test_a_killed_live_round_is_found_and_given_back(tmp_path):
    """The next look at the board finishes what `kill -9` left: fault, lab and entry."""
    process, opened = start(tmp_path, EXAMPLES, mode=Mode.LIVE)
    process.kill()
    process.wait()
    assert open_faults(root(opened))
    assert sweep(tmp_path / "board") == (opened["round"],)
    assert abandoned(tmp_path / "board") == "its director was killed"
    assert not open_faults(root(opened))
    with pytest.raises(UsageError, match="No lab is at"):
        read_state(root(opened))
    shutil.rmtree(root(opened))


def test_a_notebook_that_goes_gives_its_lab_back(tmp_path, monkeypatch):
    """A killed kernel closes the pipes; the director restores the lab before it ends."""
    monkeypatch.setenv("LOOMTRIAGE_RUNS", str(tmp_path / "runs"))
    blind = open_round(mode="live", board=str(tmp_path / "board"))
    blind.director.stdout.close()
    blind.director.stdin.close()
    assert blind.director.wait(120) == 0
    assert abandoned(tmp_path / "board") == "the trainee left"
    assert not root(blind.told).exists()
    assert not open_faults(root(blind.told))
