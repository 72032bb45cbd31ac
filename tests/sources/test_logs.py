"""The log source finds the file that is meant, and says what it could not read."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loomtriage.model import Signal, State, Window
from loomtriage.sources import Live, Logs, Playback, Question, Recording
from loomtriage.sources import logs as logs_module
from loomtriage.sources.lines.counts import counts

START = datetime(2026, 2, 14, 14, 0, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(seconds=60))
ASKED = Question(signal=Signal.LOGS, window=WINDOW)


def row(second, **more):
    moment = (START + timedelta(seconds=second)).isoformat()
    return json.dumps({"ts": moment, "level": "INFO", "event": f"e{second}", **more})


def written(path, *rows):
    path.write_text("".join(f"{one}\n" for one in rows))
    return path


def pull(paths, **more):
    return Logs(paths, tape=Live(), **more).pull(ASKED)


def test_nothing_configured_and_nothing_there(tmp_path):
    """No path, an empty folder and a name that does not exist are `not_configured`, with a hint."""
    for paths in ((), str(tmp_path), (tmp_path / "gone.log",), str(tmp_path / "*.log")):
        frame = pull(paths)
        assert (len(frame), frame.missing) == (0, "not_configured")
        assert "LOOMTRIAGE_LOGS" in frame.hint


@pytest.mark.timeout(30)
def test_what_is_no_plain_file_is_not_read(tmp_path):
    """A link, a pipe and a folder in a file's place are refused at once, never waited for."""
    good = written(tmp_path / "good.log", row(1))
    (tmp_path / "link.log").symlink_to(good)
    os.mkfifo(tmp_path / "pipe.log")
    (tmp_path / "folder.log").mkdir()
    for name in ("link.log", "pipe.log"):
        frame = pull((tmp_path / name,))
        assert (len(frame), frame.missing) == (0, "refused")
    frame = pull(str(tmp_path))
    assert len(frame) == 1
    assert sum(note.startswith("partial: ") for note in frame.caveats) == 3


@pytest.mark.parametrize(
    "name", ["worker[1].log", "worker*.log", "what?.log", "[!a].log", "a b.log"]
)
def test_glob_characters_in_a_name_are_letters(tmp_path, name):
    """A file whose name looks like a pattern is itself, not the file that the pattern finds."""
    written(tmp_path / name, row(1, who="named"))
    for other in ("worker1.log", "what1.log", "b.log"):
        written(tmp_path / other, row(1, who="other"))
    for paths in (str(tmp_path / name), (tmp_path / name,)):
        frame = pull(paths)
        assert [fields["who"] for fields in frame.data["fields"]] == ["named"]


def test_pattern_and_folder_find_files(tmp_path):
    """A pattern that is no file finds files; of a folder logs are read, other files are not."""
    written(tmp_path / "worker1.log", row(1))
    written(tmp_path / "worker2.jsonl", row(2))
    written(tmp_path / "notes.txt", row(3))
    assert sorted(pull(str(tmp_path / "w*")).data["event"]) == ["e1", "e2"]
    assert sorted(pull(tmp_path).data["event"]) == ["e1", "e2"]


def test_nothing_in_the_window_says_what_there_is(tmp_path):
    """A clock that is hours off shows: the hint names the times that the lines have."""
    path = written(tmp_path / "a.log", row(-28800), row(-28799))
    frame = pull((path,))
    assert (len(frame), frame.missing) == (0, "empty")
    assert "2026-02-14T06:00:00.000Z to 2026-02-14T06:00:01.000Z" in frame.hint


def test_lines_without_time_say_so(tmp_path):
    """A file without one structured line is no proof of silence."""
    frame = pull((written(tmp_path / "a.log", "[OK] Database", "plain"),))
    assert frame.missing == "empty"
    assert "plain: 2 lines at 1-2" in frame.caveats[0]


def test_bytes_are_accounted_for_in_a_caveat(tmp_path):
    """The caveat gives parsed and skipped bytes, and class and place of every skip."""
    path = written(tmp_path / "a.log", row(1), "plain", "{", row(2))
    frame = pull((path,))
    size = path.stat().st_size
    assert len(frame) == 2
    skipped = f"parsed {size - 8} bytes, skipped 8 bytes of {size}"
    assert skipped in frame.caveats[0]
    assert "broken_json: 1 lines at 3; plain: 1 lines at 2" in frame.caveats[0]


def test_large_file_is_read_from_its_end(tmp_path):
    """Of a file above the cap the end is read, and the caveat says how much."""
    path = written(tmp_path / "a.log", *(row(second) for second in range(50)))
    frame = pull((path,), max_bytes=1000)
    assert frame.data["event"].tolist()[-1] == "e49"
    assert len(frame) < 20
    assert f"the last 1000 of {path.stat().st_size} bytes" in frame.caveats[0]


def test_lines_of_all_files_stand_in_time(tmp_path):
    """Shuffled lines of several files come back by time, with their file and line number."""
    one = written(tmp_path / "a.log", row(3), row(1))
    two = written(tmp_path / "b.log", row(2))
    frame = pull((one, two))
    assert list(zip(frame.data["event"], frame.data["file"], frame.data["line"], strict=True)) == [
        ("e1", "a.log", 2),
        ("e2", "b.log", 1),
        ("e3", "a.log", 1),
    ]


def test_exported_twice_counts_once(tmp_path):
    """A copy of a file adds nothing; one line that two workers both wrote stays two."""
    rows = [row(second) for second in range(5)]
    one, copy = written(tmp_path / "a.log", *rows), written(tmp_path / "b.log", *rows)
    assert len(pull((one, copy))) == 5
    other = written(tmp_path / "c.log", rows[0], row(7), row(8))
    assert len(pull((one, other))) == 8


def test_hash_points_at_the_line(tmp_path):
    """The SHA-256 of a line is that of its text in the file."""
    frame = pull((written(tmp_path / "a.log", row(1)),))
    assert frame.data["sha256"][0] == hashlib.sha256(row(1).encode()).hexdigest()


def test_recording_holds_the_window_without_secrets(tmp_path):
    """The tape keeps the lines of the window only, redacted, and plays back the same frame."""
    leak = "postgresql+psycopg://w:hunter2@h/d"
    rows = (row(-9, x="outside"), row(1, db=leak), f"[OK] Database: {leak}", row(2))
    path = written(tmp_path / "a.log", *rows)
    live = Logs((path,), tape=Recording(tmp_path / "tape")).pull(ASKED)
    again = Logs((), tape=Playback(tmp_path / "tape")).pull(ASKED)
    taped = b"".join(p.read_bytes() for p in (tmp_path / "tape").iterdir())
    assert b"hunter2" not in taped
    assert b"outside" not in taped
    assert str(tmp_path).encode() not in taped
    assert again.data.equals(live.data)
    assert (again.origin, again.caveats) == (live.origin, live.caveats)


def test_probe_tells_age_or_what_to_do(tmp_path):
    """The probe counts files that can be read, or says which setting is missing."""
    path = written(tmp_path / "a.log", row(1))
    assert "1 of 1 log files" in Logs(str(path), tape=Live()).probe().says
    assert Logs((), tape=Live()).probe().state is State.NO_DATA
    assert str(tmp_path / "b.log") in Logs(str(tmp_path / "b.log"), tape=Live()).probe().says


CRASH = "Traceback (most recent call last):\n  File \"w.py\", line 3, in run\nKeyError: 'x'"
WHOLE = CRASH.replace("in run", "in <module>")


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ((row(1), row(2), CRASH), [3]),
        ((row(1), CRASH, "", ""), [2]),
        ((row(1), CRASH, row(2)), []),
        ((row(1), CRASH, "said by the shell"), []),
        ((row(1), "Exception in thread Thread-1 (poll):", CRASH), []),
        ((row(1), "Exception while exporting Span batch.", CRASH), []),
        ((row(1), "future: <Task finished name='Task-7' exception=KeyError('x')>", CRASH), []),
        ((row(1), "2026-02-14 14:00:01 ERROR worker batch failed, will retry", CRASH), []),
        ((row(1), "[OK] Database", WHOLE), [3]),
        ((row(90), CRASH), []),
        ((CRASH,), []),
        ((row(1), CRASH.replace("KeyError: 'x'", "KeyboardInterrupt")), []),
    ],
    ids=[
        *("last", "blank behind", "went on", "text behind", "thread"),
        *("exporter", "task", "logged", "whole program", "later", "no time", "by hand"),
    ],
)
def test_a_file_that_ends_with_a_traceback_tells_of_a_crash(tmp_path, rows, lines):
    """It is a line at the latest time before it; one after which the file goes on is none."""
    path = written(tmp_path / "w.log", *rows)
    data = pull((path,)).data
    crashed = data[data["event"] == "uncaught_exception"]
    assert list(crashed["line"]) == lines
    assert set(crashed["message"]) <= {"KeyError: 'x'"}
    assert set(crashed["level"]) <= {"CRITICAL"}
    # What the file holds is counted as before: the bytes of a traceback are no log line.
    assert counts(path).total().skipped_lines["traceback"] == 3


SAMPLE = Path(__file__).parents[2].parent / "shared/samples/wordloom-v3/logs"


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the samples of Wordloom are not here")
def test_wrapped_powershell_log_comes_back_whole():
    """All six objects of the real wrapped UTF-16 file are recovered, and its crash is a line."""
    window = Window(datetime(2026, 2, 8, tzinfo=UTC), datetime(2026, 2, 9, tzinfo=UTC))
    frame = Logs(str(SAMPLE), tape=Live()).pull(Question(signal=Signal.LOGS, window=window))
    assert len(frame) == 7
    crash = frame.data.iloc[-1]
    assert (crash["event"], crash["line"]) == ("uncaught_exception", 39)
    assert crash["message"].startswith("UnboundLocalError: cannot access local variable 'exc'")
    assert frame.data["message"].str.contains("wordloom:wordloom").sum() == 0
    assert frame.data["message"][5].startswith("Outbox upsert: indexed tag 1aa87cdf")
    assert any("UnboundLocalError: cannot access local variable" in n for n in frame.caveats)


def test_what_one_stage_changes_no_other_sees():
    """The same answer is read once and given to each as a table of its own."""
    row = {"file": "w.log", "line": 1, "raw": '{"ts": "2026-02-14T14:00:01Z", "event": "e"}'}
    body = (json.dumps(row) + "\n").encode()
    first, _ = logs_module._parse(body)
    first["event"] = "changed"
    first.loc[0, "level"] = "changed"
    second, _ = logs_module._parse(body)
    assert (second["event"][0], second["level"][0]) == ("e", "")
