"""A round in the lab: nothing tells the truth while the fault stands, and the lab is given back."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path

import httpx
import pytest

from loomtriage import open_round
from loomtriage.case import open_case
from loomtriage.contract.catalogue import METRICS
from loomtriage.contract.reasons import REASONS
from loomtriage.drills.book import DRILLS
from loomtriage.drills.journal import journals, read
from loomtriage.errors import Exit, UsageError
from loomtriage.lab.state import read_state
from loomtriage.settings import settings
from loomtriage.train import board
from loomtriage.train.answers import Stamped, answers_from
from loomtriage.train.board import Kind
from loomtriage.train.live import TOLD_BY_THE_PROCESS, draw_drill, play_live
from loomtriage.train.looks import look
from loomtriage.train.pool import Level
from loomtriage.train.rounds import LIMIT_S, GaveUp, Mode, sweep
from tests.train.rounds import EXAMPLES, RIGHT, order, seen, start, told

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]
LEVELS = (Level.BASIC, Level.FULL, Level.ADVANCED)
SHORT = "es_429"
"""The drill whose round every run of the tests plays; the others take their time."""


def drawn():
    """For each drill that can come live, a level and a seed that draw it."""
    found, wanted = {}, {one for one in DRILLS.names if one not in TOLD_BY_THE_PROCESS}
    for level, seed in product(LEVELS, range(300)):
        ordered = live(Path(), seed, level)
        name = draw_drill(ordered, ordered.draw()).id
        found.setdefault(name, (level, seed))
        if wanted <= set(found):
            break
    assert set(found) == wanted
    return found


def words_of(name):
    """Words that would tell a drill, but for those that the pipeline itself says."""
    drill = DRILLS.get(name, noun="drill")
    kinds = [one.kind for one in (drill.fault, *getattr(drill.fault, "parts", ()))]
    words = {name, drill.cause, *drill.accept, *kinds, "placebo", "drill-", "fault_id"}
    said = " ".join([*(m.name for m in METRICS), *(r.name for r in REASONS), "projection_version"])
    return {word for word in words if word not in said} - {"none", "unknown", "both"}


def quiet(_line):
    """Nobody listens."""


def live(folder, seed, level=Level.BASIC):
    """A live round that a seed repeats."""
    pool = order(folder, folder)
    return replace(pool, mode=Mode.LIVE, level=level, seed=seed, limit_s=LIMIT_S[Mode.LIVE])


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


@pytest.mark.parametrize(
    "name",
    # Numbered, since pytest puts the name of a test into the environment that is searched.
    [
        pytest.param(one, id=str(n), marks=[] if one == SHORT else pytest.mark.soak)
        for n, one in enumerate(DRILLS.names)
        if one not in TOLD_BY_THE_PROCESS
    ],
)
def test_nothing_tells_the_truth_of_a_live_round(tmp_path, name):
    """Processes, environments, open files, logs, labels, spans, names: searched while it runs."""
    found = {}
    level, seed = drawn()[name]

    def desk(opened):
        state = read_state(root_of(opened))
        look(opened.folder, "lag")
        open_case("close", source=opened.source)  # as any other command does
        pids = (os.getpid(), state.supervisor_pid)
        texts = [pair for pid in pids for pair in seen(pid)]
        texts += [*telemetry(state), *told(opened.folder)]
        names = {path.name for path in state.root.rglob("*")}
        found["texts"] = [*texts, ("names", "\n".join(names))]
        return (Stamped(after_s=1.0, answers=answers_from(RIGHT)),)

    closed = play_live(live(tmp_path, seed, level), desk, say=quiet, opened=quiet)
    assert closed.truth["drill"] == name
    words = words_of(name)
    leaks = {(where, word) for where, text in found["texts"] for word in words if word in text}
    assert leaks == set()
    assert closed.score.hints == 1
    assert board.read(tmp_path / "board")[-1].content["looks"] == ["lag", "close"]
    assert closed.score.times["TTR"] is not None
    assert [one.kind for one in board.read(tmp_path / "board")] == [Kind.OPENED, Kind.SCORED]
    assert set(board.read(tmp_path / "board")[-1].content["rivals"]) == {"the triage", "log words"}
    assert not open_faults(root_of(closed.opened))


@pytest.mark.soak
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


@pytest.mark.soak
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


@pytest.mark.soak
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
    assert not root(opened).exists()


@pytest.mark.soak
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
