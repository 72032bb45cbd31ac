"""A round from its promise to its debrief, and what happens to one that is left."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from loomtriage.cli import main
from loomtriage.drills.result import DrillResult
from loomtriage.errors import Exit, UsageError
from loomtriage.model import State
from loomtriage.train import board
from loomtriage.train.answers import Stamped, answers_from
from loomtriage.train.board import Kind
from loomtriage.train.desk import from_file
from loomtriage.train.live import _finish, _Sitting
from loomtriage.train.looks import look, read_looks
from loomtriage.train.offline import play_offline
from loomtriage.train.pool import Level
from loomtriage.train.rounds import ANSWERS_FILE, GaveUp, Mode, Opened, sweep
from loomtriage.train.truth import check_promise
from tests.train.rounds import RIGHT, TRUTH, order, pool_of, seen, start, told

MARKS = ("placebo", "drill-", "runbooks/examples", "http_refuse", "retry-storm", "inject")


def quiet(_line):
    """Nobody listens."""


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """A round on es_down: what could be seen while its clock ran, its outcome, and its folder."""
    folder = tmp_path_factory.mktemp("round")
    pool = pool_of(tmp_path_factory.mktemp("past"), "es_down")
    seen_meanwhile = {}

    def desk(opened):
        seen_meanwhile["files"] = list(told(opened.folder))
        seen_meanwhile["board"] = [one.content for one in board.read(folder / "board")]
        seen_meanwhile["moments"] = [p.stat().st_mtime for p in opened.folder.rglob("*")]
        look(opened.folder, "retry_scheduled")
        look(opened.folder, "lines")
        with pytest.raises(UsageError, match="Nothing to look at"):
            look(opened.folder, "truth")
        (opened.folder / ANSWERS_FILE).write_text(json.dumps(RIGHT))
        return from_file(say=quiet)(opened)

    began = datetime.now(UTC)
    closed = play_offline(order(folder, pool), desk, say=quiet, opened=quiet)
    return seen_meanwhile, closed, folder, began


def test_a_right_round_scores_and_is_on_the_board(taken):
    """Promise, answers, truth and score stand on the board, and anybody can check them."""
    _, closed, folder, _ = taken
    opened, scored = board.read(folder / "board")
    assert (opened.kind, scored.kind) == (Kind.OPENED, Kind.SCORED)
    assert opened.content["commit"] == closed.opened.commit
    check_promise("r", closed.truth, nonce=closed.nonce, commit=closed.opened.commit)
    rivals = {name: told["score"]["right"] for name, told in scored.content["rivals"].items()}
    assert rivals == {"the triage": True, "log words": True}
    assert closed.truth["drill"] == "es_down"
    parts = {part.name: part.value for part in closed.score.parts}
    assert parts == {
        "detect": 1.0,
        "localise": 1.0,
        "ground": pytest.approx(1 / 3),
        "mitigate": 1.0,
        "close_out": 1.0,
    }
    assert closed.score.hints == 0
    assert closed.score.times["TTR"] is None


def test_nothing_tells_the_truth_before_the_answers(taken):
    """No name, content, moment or board entry of a running round says what was drawn."""
    meanwhile, _, _, began = taken
    words = ("es_down", *MARKS)
    leaks = {
        (where, word)
        for where, text in meanwhile["files"]
        for word in words
        if word in text.lower()
    }
    assert leaks == set()
    (entry,) = meanwhile["board"]
    assert not {"truth", "nonce", "drill"} & set(entry)
    assert min(meanwhile["moments"]) >= began.timestamp() - 2


def test_the_recording_cannot_be_looked_up(taken):
    """Neither moments nor hashes of the telemetry stand in the recorded run it was made from."""
    meanwhile, _, _, _ = taken
    names = {text.rpartition("/")[2] for where, text in meanwhile["files"] if where == "name"}
    from tests.train.rounds import EXAMPLES

    there = {path.name for path in (EXAMPLES / "es_down" / "tape").iterdir()}
    assert names & there == {"index.jsonl"}
    recorded = json.loads((EXAMPLES / "es_down" / "manifest.json").read_text())["window"]["start"]
    assert not any(recorded[:16] in text for _, text in meanwhile["files"])


def test_the_debrief_shows_both_paths(taken):
    """The page names what it was, what was looked at, and the panel, trace and line that tell."""
    _, closed, folder, _ = taken
    page = closed.debrief.read_text()
    for words in (
        "Your path",
        "The shortest path",
        "outbox_retry_scheduled_total",
        "worker.log",
        "es_429",  # a look-alike, with what tells it apart
        closed.opened.commit,
    ):
        assert words in page
    assert [one.what for one in read_looks(closed.opened.folder)] == ["retry_scheduled", "lines"]
    assert str(folder) not in page


def test_time_that_is_up_abandons_the_round(tmp_path, capsys):
    """Without all answers in time there is no score; command and board say so."""
    pool, team = pool_of(tmp_path / "past", "placebo"), tmp_path / "board"
    with pytest.raises(SystemExit) as left:
        main(["train", "--json", f"--source={pool}", f"--board={team}", "--limit=1",
              f"--out={tmp_path / 'runs'}"])  # fmt: skip
    assert left.value.code == Exit.NO_DATA
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"kind": "abandoned", "why": "the time of 1 s was up"}
    entries = board.read(team)
    assert [one.kind for one in entries] == [Kind.OPENED, Kind.ABANDONED]
    assert "score" not in entries[-1].content


def test_an_account_without_a_name_may_play(tmp_path, capsys, monkeypatch):
    """A container may run as a user that no account belongs to; the board takes that too."""

    def nobody(_uid):
        raise KeyError("getpwuid(): uid not found")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    pool, team = pool_of(tmp_path / "past", "placebo"), tmp_path / "board"
    with pytest.raises(SystemExit) as left:
        main(["train", "--json", f"--source={pool}", f"--board={team}", "--limit=1",
              f"--out={tmp_path / 'runs'}"])  # fmt: skip
    assert left.value.code == Exit.NO_DATA, capsys.readouterr().err
    assert board.read(team)[0].content["who"] == "unknown"


def test_a_live_round_whose_fault_was_lost_does_not_score(tmp_path):
    """The answers may be right; a lab that came to rest too late hides nothing of the loss."""
    opened = Opened(
        id="r", commit="", mode=Mode.LIVE, level=Level.BASIC, source="", folder=tmp_path,
        limit_s=20,
    )  # fmt: skip
    sitting = _Sitting(opened=opened, sheet=(Stamped(after_s=1.0, answers=answers_from(RIGHT)),))
    result = DrillResult(
        id="es_down", title="x", state=State.BAD, says="The lab did not come to rest.",
        witness=("Refused.",), invalid="aborted: the fault's lease was lost",
    )  # fmt: skip
    with pytest.raises(GaveUp, match="proved nothing: aborted: the fault's lease was lost"):
        _finish(None, TRUTH, sitting, result)


def test_a_running_round_cannot_be_read_and_a_killed_one_does_not_score(tmp_path):
    """Command, environment, open files and folders tell nothing; what is killed is abandoned."""
    pool = pool_of(tmp_path / "past", "es_down", "es_poison_4xx")
    process, opened = start(tmp_path, pool)
    drills = ("es_down", "es_poison_4xx", "placebo")
    leaks = [(where, name) for where, text in seen(process.pid) for name in drills if name in text]
    assert leaks == []
    assert [
        (where, name) for where, text in told(tmp_path / "runs") for name in drills if name in text
    ] == []
    assert sweep(tmp_path / "board") == (), "a living director is left alone"
    process.kill()
    process.wait()
    assert sweep(tmp_path / "board") == (opened["round"],)
    entries = board.read(tmp_path / "board")
    assert [one.kind for one in entries] == [Kind.OPENED, Kind.ABANDONED]
    assert "killed" in entries[-1].content["why"]


def test_an_ended_round_is_abandoned_at_once(tmp_path):
    """Whoever ends a round leaves it on the board, without a score."""
    process, _ = start(tmp_path, pool_of(tmp_path / "past", "placebo"))
    process.terminate()
    assert process.wait(20) == Exit.TERMINATED
    kinds = [one.kind for one in board.read(tmp_path / "board")]
    assert kinds == [Kind.OPENED, Kind.ABANDONED]


def test_answers_may_come_one_by_one(tmp_path):
    """Each answer is stamped when it comes; half a file is waited for."""
    opened = Opened(
        id="r", commit="", mode=Mode.OFFLINE, level=Level.BASIC, source="", folder=tmp_path,
        limit_s=20,
    )  # fmt: skip
    path, heard = tmp_path / ANSWERS_FILE, []
    steps = iter(['{"wrong": "ye', '{"wrong": "yes"}', json.dumps(RIGHT)])

    def is_gone() -> bool:
        if text := next(steps, ""):
            path.write_text(text)
        return False

    sheet = from_file(say=heard.append, is_gone=is_gone)(opened)
    assert [one.answers for one in sheet] == [answers_from({"wrong": "yes"}), answers_from(RIGHT)]
    assert sheet[0].after_s < sheet[1].after_s
    assert len(heard) == 1
