"""A round in a terminal: what is said at its start, at its end, and when it cannot be played."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from loomtriage.cli import main
from loomtriage.errors import Exit
from loomtriage.train import board
from loomtriage.train.desk import from_file
from loomtriage.train.pool import Level
from loomtriage.train.rounds import GaveUp, Mode, Opened
from tests.train.rounds import RIGHT, pool_of, start


def words(folder, pool):
    """An offline round of that pool in a terminal, everything below one folder."""
    return [sys.executable, "-m", "loomtriage.cli", "train", f"--source={pool}",
            f"--board={folder / 'board'}", f"--out={folder / 'runs'}", "--who=ada"]  # fmt: skip


def test_a_round_in_the_terminal(tmp_path):
    """Hints and their cost come first; the promise is kept by what stands on the board."""
    pool = pool_of(tmp_path / "past", "es_down")
    lines = ["?explain", *map(str, RIGHT.values())]
    done = subprocess.run(
        words(tmp_path, pool), input="\n".join(lines) + "\n", capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == Exit.OK, done.stderr
    opened, scored = board.read(tmp_path / "board")
    for said in (
        "?explain ?retries ?close name the cause: -10% each, once",
        f"kept: {opened.content['commit']} stands on the board",
        scored.content["nonce"],
    ):
        assert said in done.stdout
    assert done.stdout.index("a hint: -10%") < done.stdout.index("Elasticsearch is down")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED)]
)
def test_an_ended_round_says_that_it_is_abandoned(tmp_path, number, code):
    """Ctrl-C is an exit like any other: a line says what became of the round, the board why."""
    process, _ = start(tmp_path, pool_of(tmp_path / "past", "placebo"))
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert json.loads(out) == {"kind": "abandoned", "why": f"ended by {number.name}"}
    assert board.read(tmp_path / "board")[-1].content["why"] == f"ended by {number.name}"


def test_runs_that_cannot_be_kept_are_no_defect(tmp_path, capsys):
    """A file in the place of the folder is named, with what to do; nothing is promised."""
    (tmp_path / "runs").write_text("")
    pool = pool_of(tmp_path / "past", "placebo")
    with pytest.raises(SystemExit) as left:
        main(words(tmp_path, pool)[3:])
    assert left.value.code == Exit.ERROR
    said = capsys.readouterr().err
    assert "runs cannot take the folder of a round" in said
    assert "--out" in said
    assert "defect" not in said
    assert board.read(tmp_path / "board") == ()


def test_old_answers_count_once_they_change(tmp_path):
    """A file of an earlier round is not handed in for this one; that it is waiting is said."""
    file, heard = tmp_path / "answers.json", []
    file.write_text(json.dumps(RIGHT))
    opened = Opened(
        id="r", commit="", mode=Mode.OFFLINE, level=Level.BASIC, source="", folder=tmp_path,
        limit_s=1,
    )  # fmt: skip
    with pytest.raises(GaveUp, match="the time of 1 s was up"):
        from_file(file, say=heard.append)(opened)
    assert heard == ["answers.json was there before the round; it counts once it changes."]
    desk = from_file(file, say=heard.append)
    file.write_text(json.dumps({**RIGHT, "sure": 0.5}))
    assert desk(opened)[-1].answers.sure == 0.5
