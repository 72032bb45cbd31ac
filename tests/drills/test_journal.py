"""Writing a fault journal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loomtriage.drills.journal import Journal, journals, kill_at_from_env, read
from loomtriage.drills.record import Point, Position, Step
from loomtriage.drills.restore import recover
from loomtriage.errors import Exit, JournalFailed, UsageError
from loomtriage.lab.lock import claim
from loomtriage.lab.state import state_file, write_state
from loomtriage.model import State
from tests.drills.strangers import hollow_lab, port_that

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from loomtriage.drills.journal import Journal, read
from loomtriage.drills.record import Step
from loomtriage.errors import JournalFailed

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
for room in (0, 1, 57, 200):
    journal = Journal(Path(sys.argv[1]), lab_id="a1")
    journal.write(Step.LOCK)
    size = journal.path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, hard))
    try:
        journal.write(Step.INTENT, undo="u" * 100)
    except JournalFailed as error:
        assert "could not be written" in error.message
        assert journal.path.stat().st_size == size, "a fragment was left"
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        journal.write(Step.CLOSE)
        assert [record.step for record in read(journal.path).records] == [Step.LOCK, Step.CLOSE]
        assert not read(journal.path).is_open
        print("refused", room)
"""
NO_ROOM = """
import resource, sys
from pathlib import Path
from loomtriage.drills.leftovers import sweep_leftovers

resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
print(sweep_leftovers(Path(sys.argv[1])))
"""


def test_line_is_on_disk_before_anything_acts(tmp_path):
    """A step is durable when `write` returns, and the journal's name does not tell the drill."""
    journal = Journal(tmp_path, lab_id="a1")
    assert journals(tmp_path) == ()
    journal.write(Step.LOCK, owns_lab=False)
    (path,) = journals(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [record.step for record in read(path).records] == [Step.LOCK]
    assert path.stem.replace("-", "").replace("T", "").replace("Z", "").isalnum()


def test_action_comes_between_its_points(tmp_path):
    """A runner can be stopped before an act, after it but before its line, and after its line."""
    seen: list[object] = []
    journal = Journal(tmp_path, lab_id="a1", on_point=seen.append)
    journal.write(Step.LOCK)
    journal.act(Step.APPLIED, lambda: seen.append("acted"), lambda _: {"n": 1})
    expected = [
        Point(Step.LOCK, Position.BEFORE),
        Point(Step.LOCK, Position.AFTER),
        Point(Step.APPLIED, Position.BEFORE),
        "acted",
        Point(Step.APPLIED, Position.MID),
        Point(Step.APPLIED, Position.AFTER),
    ]
    assert seen == expected


def test_full_disk_leaves_no_fragment(tmp_path):
    """When a line does not fit, none of it stays wherever it is cut, and later lines follow."""
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [f"refused {room}" for room in (0, 1, 57, 200)]


def test_full_disk_is_no_defect_before_a_drill_begins(tmp_path):
    """Where nothing can be written there is no temporary folder either, and nothing to sweep."""
    ran = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "()\n", "")


def test_folder_that_cannot_be_written_to_is_an_error_and_not_a_journal(tmp_path):
    """Where no journal can be made, the step fails before anything is done."""
    (tmp_path / "journals").write_text("in the way")
    with pytest.raises(JournalFailed, match="Step lock could not be written"):
        Journal(tmp_path, lab_id="a1").write(Step.LOCK)


def test_open_journal_goes_on_behind_its_last_good_line(tmp_path):
    """Going on with a torn journal cuts the torn line and keeps the chain whole."""
    journal = Journal(tmp_path, lab_id="a1")
    journal.write(Step.LOCK)
    journal.write(Step.INTENT)
    with journal.path.open("ab") as file:
        file.write(b'{"at":"2026')
    torn = read(journal.path)
    assert torn.torn
    again = Journal.resume(journal.path, torn)
    again.write(Step.CLOSE)
    contents = read(journal.path)
    assert [record.step for record in contents.records] == [Step.LOCK, Step.INTENT, Step.CLOSE]
    assert not contents.is_open


def test_open_journal_that_cannot_be_cut_takes_no_more_lines(tmp_path):
    """No line comes behind a fragment; whoever goes on is told so, and can go on without."""
    journal = Journal(tmp_path, lab_id="a1")
    journal.write(Step.LOCK)
    contents = read(journal.path)
    journal.path.unlink()
    again = Journal.resume(journal.path, contents)
    with pytest.raises(JournalFailed, match="could not be cut back"):
        again.write(Step.CLOSE)


@pytest.mark.parametrize(
    "answer", [b'{"faults": [], "lab_id": "b2", "listening": true}', b"hello", None]
)
def test_journal_of_a_dead_lab_is_closed_whoever_has_its_port_now(tmp_path, answer):
    """Another lab, another program or nobody on its ports: the lab is gone, and so is its fault."""
    with port_that(lambda _: answer) as port:
        lab = hollow_lab(tmp_path / "labs" / "t", proxy_admin=port)
        lab.root.mkdir(parents=True)
        write_state(lab)
        journal = Journal(tmp_path, lab_id=lab.lab_id)
        journal.write(Step.LOCK, lab_root=str(lab.root), owns_lab=False)
        report = recover(tmp_path, say=lambda _line: None)
    assert report.exit_code is Exit.OK, report
    assert "its lab is gone" in report.findings[0].says
    assert not read(journal.path).is_open


@pytest.mark.parametrize("text", ["", '{"lab_id": "a1"}'])
def test_lab_whose_state_cannot_be_read_is_not_gone(tmp_path, text):
    """An empty state, or that of another version, says nothing: the journal stays open."""
    lab = hollow_lab(tmp_path / "labs" / "t", proxy_admin=1)
    lab.root.mkdir(parents=True)
    state_file(lab.root).write_text(text)
    journal = Journal(tmp_path, lab_id=lab.lab_id)
    journal.write(Step.LOCK, lab_root=str(lab.root), owns_lab=False)
    report = recover(tmp_path, say=lambda _line: None)
    assert report.exit_code is Exit.ERROR, report
    assert "is not the state of a lab" in report.findings[0].says
    assert read(journal.path).is_open
    write_state(lab)  # the control: this one is gone
    assert recover(tmp_path, say=lambda _line: None).exit_code is Exit.OK
    assert not read(journal.path).is_open


def test_damaged_journal_stays_while_a_labs_state_cannot_be_read(tmp_path):
    """Nobody knows whether a fault stands in a lab that runs and cannot be read."""
    root = tmp_path / "labs" / "t"
    root.mkdir(parents=True)
    state_file(root).write_text("")
    journal = tmp_path / "journals" / "damaged.jsonl"
    journal.parent.mkdir()
    journal.write_bytes(b"\0\n")
    held = claim(root)
    try:
        report = recover(tmp_path, say=lambda _line: None)
        assert report.exit_code is Exit.ERROR, report
        assert journal.exists()
    finally:
        os.close(held)
    assert recover(tmp_path, say=lambda _line: None).state is State.WARN  # no lab runs any more
    assert not journal.exists()


def test_kill_seam_is_off_unless_asked_for(monkeypatch):
    """Without the variable there is no seam; with a wrong one the drill does not start."""
    monkeypatch.delenv("LOOMTRIAGE_KILL_AT", raising=False)
    assert kill_at_from_env() is None
    monkeypatch.setenv("LOOMTRIAGE_KILL_AT", "applied:sometime")
    with pytest.raises(UsageError):
        kill_at_from_env()
    monkeypatch.setenv("LOOMTRIAGE_KILL_AT", "applied:mid")
    die = kill_at_from_env()
    assert die is not None
    die(Point(Step.APPLIED, Position.BEFORE))


def test_same_second_makes_two_journals(tmp_path):
    """Two drills that start in the same second do not share a journal."""
    made: set[Path] = set()
    for _ in range(3):
        journal = Journal(tmp_path, lab_id="a1")
        journal.write(Step.LOCK)
        made.add(journal.path)
    assert len(made) == 3
