"""The board is only ever added to: whatever else is done to it is found and named."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from loomtriage.errors import BundleDamaged, TriageError
from loomtriage.train import board
from loomtriage.train import head as heads
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


def fork(act) -> int:
    """A child process that does this and nothing else."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    return pid


def ended(pid) -> int:
    """What a child process ended with."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


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


@pytest.mark.parametrize("kept", range(4))
def test_a_cut_end_is_found_and_named(tmp_path, kept):
    """Lines cut off at the end are refused with how many there were; nothing is added either."""
    lines = filled(tmp_path)
    (tmp_path / board.FILE).write_bytes(b"".join(lines[:kept]))
    says = rf"board.jsonl has {kept} of 4 lines: what came after line {kept} was cut off"
    with pytest.raises(BundleDamaged, match=says) as refused:
        board.read(tmp_path)
    assert "from a copy" in refused.value.hint
    with pytest.raises(BundleDamaged, match=says):
        board.add(tmp_path, Kind.OPENED, "r3")


def test_a_line_cut_in_the_middle_or_a_board_taken_away_is_found(tmp_path):
    """Half of the last line is not the last line, and no file is not an empty board."""
    lines = filled(tmp_path)
    path = tmp_path / board.FILE
    for gone in (1, 20):
        path.write_bytes(b"".join(lines)[:-gone])
        with pytest.raises(BundleDamaged, match="3 of 4 lines"):
            board.read(tmp_path)
    path.unlink()
    with pytest.raises(BundleDamaged, match="0 of 4 lines"):
        board.read(tmp_path)


def test_an_edited_head_is_found(tmp_path):
    """A head that is gone, changed, too young or of another board is no reason to go on."""
    filled(tmp_path / "other")
    lines = filled(tmp_path)
    head, whole = tmp_path / heads.FILE, (tmp_path / heads.FILE).read_bytes()
    first = json.loads(lines[0])["sha256"]
    for data, says in (
        (whole.replace(b'"n":4', b'"n":3'), "line 3 is not the one"),
        (whole.replace(b'"n":4', b'"n":5'), "4 of 5 lines"),
        (whole.replace(b'"n":4', b'"n":-1'), "board.head was changed"),
        (b"[]", "board.head was changed"),
        ((tmp_path / "other" / heads.FILE).read_bytes(), "line 4 is not the one"),
        (b'{"n":1,"sha256":"%s"}\n' % first.encode(), "goes on after line 1"),
    ):
        head.write_bytes(data)
        with pytest.raises(BundleDamaged, match=says):
            board.read(tmp_path)
    head.unlink()
    with pytest.raises(BundleDamaged, match=r"board\.head, which ends it, is gone"):
        board.read(tmp_path)


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize(("call", "more"), [(1, 0), (2, 1)])
def test_a_killed_writer_is_told_and_harms_nothing(tmp_path, monkeypatch, before, call, more):
    """Killed before its line it left nothing; between line and head, a line that counts."""
    for n in range(before):
        board.add(tmp_path, Kind.OPENED, f"r{n}")
    left = iter(range(1, call))

    def write_or_die(folder, head):
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        write(folder, head)

    write = heads.write_head
    with monkeypatch.context() as patch:
        patch.setattr(heads, "write_head", write_or_die)
        assert ended(fork(lambda: board.add(tmp_path, Kind.OPENED, "last"))) == -signal.SIGKILL
    for _ in range(2):
        heard = []
        assert len(board.read(tmp_path, say=heard.append)) == before + more
        assert [f"wrote line {before + 1} was killed" in line for line in heard] == [True] * more
    board.add(tmp_path, Kind.OPENED, "next")
    heard = []
    entries = board.read(tmp_path, say=heard.append)
    assert (len(entries), heard) == (before + more + 1, [])


def test_half_a_line_of_a_killed_writer_is_told_and_replaced(tmp_path):
    """What a full disk or a lost machine left of a line does not count and does not stay."""
    lines = filled(tmp_path)
    with (tmp_path / board.FILE).open("ab") as file:
        file.write(lines[0][:50])
    heard = []
    assert len(board.read(tmp_path, say=heard.append)) == 4
    assert "line 5 was killed over it; it does not count" in heard[0]
    board.add(tmp_path, Kind.OPENED, "r3")
    assert [one.n for one in board.read(tmp_path)] == [1, 2, 3, 4, 5]


def test_writers_and_readers_at_once(tmp_path):
    """Many writers leave one whole board, and who reads meanwhile never sees half of a line."""

    def write():
        for n in range(10):
            board.add(tmp_path, Kind.OPENED, f"{os.getpid()}-{n}")

    heard, seen, pids = [], 0, [fork(write) for _ in range(3)]
    for _ in range(1000):
        seen = max(seen, len(board.read(tmp_path, say=heard.append)))
        if seen == 30:
            break
    assert [ended(pid) for pid in pids] == [0, 0, 0]
    assert (len(board.read(tmp_path)), heard) == (30, [])


def test_a_board_that_cannot_be_written_says_so(tmp_path):
    """A folder that is a file is no board, and no traceback."""
    (tmp_path / "board").write_text("")
    with pytest.raises(TriageError, match=r"board/board\.jsonl cannot be written"):
        board.add(tmp_path / "board", Kind.OPENED, "r1")


def test_a_broken_promise_is_found(tmp_path):
    """A truth that is not what was promised is refused, although its chain is whole."""
    made = promise(TRUTH)
    board.add(tmp_path, Kind.OPENED, "r1", who="ada", limit_s=1, commit=made.commit)
    other = {**made.truth, "causes": ["es_429"]}
    board.add(tmp_path, Kind.SCORED, "r1", truth=other, nonce=made.nonce.hex())
    with pytest.raises(BundleDamaged, match="truth of round r1"):
        board.read(tmp_path)


def test_a_score_whose_promise_cannot_be_checked_is_refused(tmp_path):
    """Without its nonce a truth may be any, also beside a promise that was made."""
    made = promise(TRUTH)
    board.add(tmp_path, Kind.OPENED, "r1", who="ada", limit_s=1, commit=made.commit)
    board.add(tmp_path, Kind.SCORED, "r1", truth={"causes": ["none"]})
    with pytest.raises(BundleDamaged, match=r"line 2 \(round r1\) is scored without a nonce"):
        board.read(tmp_path)


def test_a_truth_is_checked_against_what_the_board_was_promised(tmp_path):
    """What is about to be told must be what stands there, however often a round is opened."""
    made, other = promise(TRUTH), promise(TRUTH)
    for one in (made, other):
        board.add(tmp_path, Kind.OPENED, "r1", who="ada", limit_s=1, commit=one.commit)
    board.check_kept(tmp_path, "r1", truth=made.truth, nonce=made.nonce.hex())
    for name, one in (("r1", other), ("r2", made)):
        with pytest.raises(BundleDamaged, match=f"truth of round {name}"):
            board.check_kept(tmp_path, name, truth=one.truth, nonce=one.nonce.hex())


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
