"""The board is only ever added to: whatever else is done to it is found and named."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from loomtriage.errors import BundleDamaged
from loomtriage.train import board
from loomtriage.train.board import Kind
from loomtriage.train.truth import promise
from tests.train.rounds import TRUTH


def filled(folder):
    """A board with two scored rounds; its lines."""
    for name in ("r1", "r2"):
        made = promise(TRUTH)
        board.add(folder, Kind.OPENED, name, who="ada", limit_s=300, commit=made.commit)
        score = {"total": 50.0, "right": True}
        board.add(folder, Kind.SCORED, name, score=score, truth=made.truth, nonce=made.nonce.hex())
    return (folder / board.FILE).read_bytes().splitlines(keepends=True)


def test_a_board_reads_back(tmp_path):
    """What was added comes back, in order."""
    filled(tmp_path)
    entries = board.read(tmp_path)
    assert [(one.n, one.kind, one.round) for one in entries] == [
        (1, Kind.OPENED, "r1"),
        (2, Kind.SCORED, "r1"),
        (3, Kind.OPENED, "r2"),
        (4, Kind.SCORED, "r2"),
    ]
    assert board.read(tmp_path / "none") == ()


@pytest.mark.parametrize("n", range(4))
def test_every_changed_byte_is_found_and_named(tmp_path, n):
    """A line with any one byte changed is refused by its number."""
    lines = filled(tmp_path)
    path = tmp_path / board.FILE
    for at in range(0, len(lines[n]) - 1, 7):
        edited = bytearray(lines[n])
        edited[at] ^= 1
        path.write_bytes(b"".join([*lines[:n], bytes(edited), *lines[n + 1 :]]))
        with pytest.raises(BundleDamaged, match=r"board.jsonl line \d"):
            board.read(tmp_path)


@pytest.mark.parametrize(
    ("order", "line"), [((1, 2, 3), 1), ((0, 2, 3), 2), ((0, 1, 3, 2), 3), ((0, 0, 1), 2)]
)
def test_lines_taken_away_moved_or_doubled_are_found(tmp_path, order, line):
    """The chain says which line does not follow the one before it, and of which round it is."""
    lines = filled(tmp_path)
    (tmp_path / board.FILE).write_bytes(b"".join(lines[n] for n in order))
    with pytest.raises(BundleDamaged, match=rf"line {line} \(round r\d\) does not follow"):
        board.read(tmp_path)


def test_an_edited_board_takes_nothing_more(tmp_path):
    """Nobody goes on after a line that was changed, and so hides it."""
    lines = filled(tmp_path)
    (tmp_path / board.FILE).write_bytes(b"".join([lines[0].replace(b"ada", b"eve"), *lines[1:]]))
    with pytest.raises(BundleDamaged, match="line 1"):
        board.add(tmp_path, Kind.OPENED, "r3", who="eve")


def test_a_broken_promise_is_found(tmp_path):
    """A truth that is not what was promised is refused, although its chain is whole."""
    made = promise(TRUTH)
    board.add(tmp_path, Kind.OPENED, "r1", who="ada", limit_s=1, commit=made.commit)
    other = {**made.truth, "causes": ["es_429"]}
    board.add(tmp_path, Kind.SCORED, "r1", truth=other, nonce=made.nonce.hex())
    with pytest.raises(BundleDamaged, match="truth of round r1"):
        board.read(tmp_path)


def test_rounds_left_open_are_told(tmp_path):
    """A round that was never closed counts as left once its time and more is over."""
    board.add(tmp_path, Kind.OPENED, "r1", who="ada", limit_s=300, commit="")
    entries = board.read(tmp_path)
    now = datetime.now(UTC)
    assert board.left_open(entries, now=now) == ()
    (left,) = board.left_open(entries, now=now + timedelta(hours=1))
    assert left.round == "r1"


def test_lines_are_plain_json(tmp_path):
    """Anybody can read a board without this program."""
    assert [json.loads(line)["round"] for line in filled(tmp_path)] == ["r1", "r1", "r2", "r2"]
