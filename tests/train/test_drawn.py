"""The drawn run is read so that nothing tells it from the others, and before any promise."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from loomtriage.errors import BundleDamaged
from loomtriage.train import board, drawn
from loomtriage.train.offline import play_offline
from loomtriage.train.rounds import GaveUp
from tests.train.rounds import order, pool_of

LONG_AGO = 1_000_000_000
NAMES = ("es_down", "es_429", "placebo")
HOWS = pytest.mark.parametrize("flag", [drawn.UNSEEN, 0], ids=["as owner", "as anybody"])


def play(folder, pool, desk=None):
    """A round that is left as soon as its clock runs."""

    def leave(_opened):
        if desk:
            desk()
        raise GaveUp("the trainee left")

    with pytest.raises(GaveUp, match="the trainee left"):
        play_offline(order(folder, pool), leave, say=lambda _: None, opened=lambda _: None)


def part(path, run) -> str:
    """The place of a file or folder in its run, in words that all runs share."""
    there = path.relative_to(run)
    return f"{there.parent}/*" if len(there.parts) > 1 else str(there)


def needs_reading_times(folder):
    """Skip where the file system keeps none, so that none can tell."""
    probe = folder / "probe"
    probe.write_text("x")
    os.utime(probe, (LONG_AGO, LONG_AGO + 1))
    probe.read_text()
    if probe.stat().st_atime == LONG_AGO:
        pytest.skip("this file system keeps no time of last reading")


@HOWS
def test_reading_times_do_not_tell_the_drawn_run(tmp_path, monkeypatch, flag):
    """What was read or listed in one run was read or listed in each; else all of it was."""
    needs_reading_times(tmp_path)
    monkeypatch.setattr(drawn, "UNSEEN", flag)
    pool, seen = pool_of(tmp_path / "past", *NAMES), {}
    runs = {pool / name: [pool / name, *(pool / name).rglob("*")] for name in NAMES}
    for path in (path for paths in runs.values() for path in paths):
        os.utime(path, (LONG_AGO, path.stat().st_mtime))

    def look():
        for run, paths in runs.items():
            seen[run] = {part(one, run) for one in paths if one.stat().st_atime != LONG_AGO}
            seen[run, "unread"] = [one for one in paths if one.stat().st_atime == LONG_AGO]

    play(tmp_path, pool, look)
    first, *others = (seen[run] for run in runs)
    assert others == [first, first]
    assert first, "the probe told that reading leaves a time"
    if not flag:
        assert [seen[run, "unread"] for run in runs] == [[], [], []]


@HOWS
def test_a_file_that_cannot_be_read_ends_no_round(tmp_path, monkeypatch, flag):
    """What somebody left in a run that was not drawn is none of this round's business."""
    monkeypatch.setattr(drawn, "UNSEEN", flag)
    pool = pool_of(tmp_path / "past", "es_down", "es_429_and_poison")  # the latter is too hard
    (pool / "es_429_and_poison" / "foreign").write_text("x")
    read_bytes = Path.read_bytes

    def refuses(path):
        if path.name == "foreign":
            raise PermissionError(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refuses)
    play(tmp_path, pool)


def test_a_damaged_run_promises_nothing(tmp_path):
    """A recording that was edited is refused before a round stands on the board."""
    pool = pool_of(tmp_path / "past", "placebo")
    with (pool / "placebo" / "tape" / "index.jsonl").open("a") as file:
        file.write("{}")
    with pytest.raises(BundleDamaged, match=r"placebo/tape/index\.jsonl has SHA-256"):
        play_offline(order(tmp_path, pool), lambda _: (), say=lambda _: None, opened=lambda _: None)
    assert board.read(tmp_path / "board") == ()


def test_no_copy_is_left_while_the_clock_runs(tmp_path, monkeypatch):
    """What the drawn run was read into is gone before anybody may look for it."""
    rooms, left = tmp_path / "rooms", []
    rooms.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(rooms))
    pool = pool_of(tmp_path / "past", "es_down")
    play(tmp_path, pool, lambda: left.append(list(rooms.glob("*-r-*"))))
    assert left == [[]]
