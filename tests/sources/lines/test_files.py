"""Log files are found by what is meant, and standard input is one of them."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from loomtriage.model import Signal, Window
from loomtriage.sources import Live, Logs, Question
from loomtriage.sources.lines import files as log_files
from loomtriage.sources.lines.files import find_files, read_stdin

GOOD = '{"ts": "2026-02-14T14:00:01Z", "event": "e1"}\n'


@pytest.fixture
def pipe():
    """Both ends of a pipe; its descriptor number may have been read before."""
    read_stdin.cache_clear()
    reading, writing = os.pipe()
    yield reading, writing
    read_stdin.cache_clear()
    os.close(reading)


def test_names_are_told_apart(tmp_path):
    """Two files of one name get numbers; a file given twice is one; a dash is standard input."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "w.log").write_text(GOOD)
    paths = [tmp_path / "a/w.log", tmp_path / "b", tmp_path / "a/w.log"]
    assert [file.name for file in find_files(paths)] == ["w.log", "w.log#2"]
    assert [file.name for file in find_files("-")] == ["stdin"]


def test_stdin_is_read_once(pipe):
    """What came in is given to every question, also after the stream has ended."""
    reading, writing = pipe
    threading.Thread(target=lambda: (os.write(writing, GOOD.encode()), os.close(writing))).start()
    assert read_stdin(reading).data == GOOD.encode()
    assert read_stdin(reading).size == len(GOOD)
    assert read_stdin(reading).last(3).cut


@pytest.mark.timeout(30)
def test_stdin_that_never_ends_is_left(pipe, monkeypatch):
    """A stream that stays open is read up to its budget, and its end is kept up to the cap."""
    monkeypatch.setattr(log_files, "STDIN_BUDGET_S", 0.2)
    monkeypatch.setattr(log_files, "MAX_STDIN_BYTES", 10)
    reading, writing = pipe
    os.write(writing, b"0123456789abcdef")
    assert read_stdin(reading).data == b"6789abcdef"
    os.close(writing)


def test_lines_of_stdin_are_log_lines(pipe, monkeypatch):
    """The log source reads `-` like a file, and names it `stdin`."""
    reading, writing = pipe
    os.write(writing, GOOD.encode())
    os.close(writing)
    with os.fdopen(os.dup(reading)) as stream:
        monkeypatch.setattr("sys.stdin", stream)
        start = datetime(2026, 2, 14, 14, tzinfo=UTC)
        question = Question(signal=Signal.LOGS, window=Window(start, start + timedelta(minutes=1)))
        frame = Logs("-", tape=Live()).pull(question)
    assert frame.data[["file", "line", "event"]].to_numpy().tolist() == [["stdin", 1, "e1"]]


def test_old_file_is_stale_by_name(tmp_path):
    """A file that was last written before the window is named, with the time of that."""
    path = tmp_path / "a.log"
    path.write_text(GOOD)
    os.utime(path, (1_770_000_000, 1_770_000_000))
    start = datetime(2026, 2, 15, tzinfo=UTC)
    question = Question(signal=Signal.LOGS, window=Window(start, start + timedelta(minutes=1)))
    frame = Logs(path, tape=Live()).pull(question)
    assert any(
        note.startswith("stale: a.log was last written at 2026-02-02T") for note in frame.caveats
    )


@pytest.fixture
def nobody():
    """The rights of a user who is not root; a folder that this user may enter."""
    mine = os.geteuid()
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if mine == 0:
            os.seteuid(65534)
        yield folder
        os.seteuid(mine)


def test_forbidden_file_is_refused(nobody):
    """A file without permission is refused by name, and its neighbour is read."""
    path, beside = nobody / "a.log", nobody / "b.log"
    mine = os.geteuid()
    os.seteuid(os.getuid())  # the files belong to whoever runs the tests
    path.write_text(GOOD)
    beside.write_text(GOOD)
    path.chmod(0)
    beside.chmod(0o644)
    os.seteuid(mine)
    start = datetime(2026, 2, 14, 14, tzinfo=UTC)
    question = Question(signal=Signal.LOGS, window=Window(start, start + timedelta(minutes=1)))
    assert len(Logs(beside, tape=Live()).pull(question)) == 1
    frame = Logs(path, tape=Live()).pull(question)
    assert frame.missing == "refused"
    assert "partial: a.log was not read (Permission denied)." in frame.caveats
