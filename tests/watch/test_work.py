"""An accepted alert runs exactly once, whatever happens to the receiver, and is closed once."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from loomtriage.errors import Refused, UsageError
from loomtriage.watch.gate import TOKEN_ENV, Gate, read_token
from loomtriage.watch.inbox import Inbox
from loomtriage.watch.receive import listening
from loomtriage.watch.serve import FILE, serve
from loomtriage.watch.work import MAX_TRIES, NICE
from tests.watch.receiver import TOKEN, Receiver, let_go, order, payload, post, told

ROOT = Path(__file__).resolve().parent.parent.parent
ALONE = """
import sys
from dataclasses import replace
from pathlib import Path
from loomtriage.watch.gate import Gate
from loomtriage.watch.inbox import Inbox
from loomtriage.watch.receive import listening
from loomtriage.watch.serve import FILE, serve
from tests.watch.receiver import TOKEN, order
given = replace(order(Path(sys.argv[1]), slow_s=float(sys.argv[2])), at_once=1)
say = lambda line: print(line, flush=True)
inbox = Inbox(given.room / FILE, settle_s=0)
serve(given, Gate(token=TOKEN), listening("127.0.0.1:0"), inbox=inbox, say=say)
"""


class Alone:
    """A receiver in a process of its own, to be killed."""

    def __init__(self, folder: Path, *, slow_s: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ALONE, str(folder), str(slow_s)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in self.process.stdout:
            if "alerts are taken at" in line:
                self.port = int(line.rpartition(":")[2].partition("/")[0])
                return
        raise AssertionError("the receiver did not start")

    def kill(self) -> None:
        """As the kernel does it when memory is gone."""
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()


def _until(there, *, within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_receiver_loses_nothing_and_runs_nothing_twice(tmp_path):
    """Killed twice, once with the run under way: each of three alerts comes to exactly one end."""
    stub = tmp_path / "stub"
    first = Alone(tmp_path, slow_s=60)
    assert [post(first.port, payload(name))[0] for name in "abc"] == [202] * 3
    _until(lambda: told(stub, "begun"))
    first.kill()
    # What it had begun lives on by itself, and must not be begun again.
    second = Alone(tmp_path, slow_s=60)
    time.sleep(0.5)  # long enough to begin it
    let_go(stub)
    _until(lambda: len(told(stub, "begun")) == 2)
    assert len(told(stub)) == 1
    second.kill()
    os.kill(int((stub / "pid.txt").read_text()), signal.SIGKILL)
    third = Alone(tmp_path, slow_s=0)
    try:
        assert [post(third.port, payload(name))[0] for name in "abc"] == [200] * 3
        _until(lambda: len(set(told(stub))) == 3)
        time.sleep(0.5)
        assert (len(told(stub)), len(told(stub, "begun"))) == (3, 4)
    finally:
        third.kill()


def test_two_receivers_do_not_share_an_inbox(tmp_path):
    """The second is refused before it gives back the first one's runs."""
    given = order(tmp_path)
    inbox = Inbox(given.room / FILE)
    with (given.room / "receiver.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="Another receiver"):
            serve(given, Gate(token=TOKEN), listening("127.0.0.1:0"), inbox=inbox, say=print)
    inbox.close()


def test_a_run_ends_at_its_deadline(tmp_path):
    """A run that takes too long is stopped with its process, and is not tried for ever."""
    with Receiver(order(tmp_path, slow_s=30, deadline_s=2)) as receiver:
        assert post(receiver.port, payload())[0] == 202
        assert receiver.settled()["failed"] == 1
    assert " ".join(receiver.said).count("stopped at the deadline") == MAX_TRIES
    # On a busy machine a run may be stopped before it says a word.
    assert 1 <= len(told(tmp_path / "stub", "begun")) <= MAX_TRIES
    pid = int((tmp_path / "stub" / "pid.txt").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(("code", "tries"), [(4, MAX_TRIES), (2, 1), (5, 1)])
def test_a_run_that_breaks_is_tried_again_a_few_times(tmp_path, code, tries):
    """An error may pass; a usage error or a refusal does not."""
    log = tmp_path / "tries.txt"
    script = f"open({str(log)!r}, 'a').write('x'); raise SystemExit({code})"
    given = replace(order(tmp_path), command=(sys.executable, "-S", "-c", script))
    with Receiver(given) as receiver:
        assert post(receiver.port, payload())[0] == 202
        assert receiver.settled()["failed"] == 1
    assert len(log.read_text()) == tries


def test_the_secret_stays_with_the_gate(tmp_path, monkeypatch):
    """The run gets neither the token nor a role that may write; no file holds the token."""
    monkeypatch.setenv(TOKEN_ENV, TOKEN)
    monkeypatch.setenv("REPLAY_DATABASE_URL", "postgresql://writer@localhost/outbox")
    monkeypatch.setenv("DATABASE_URL", "postgresql://reader@localhost/outbox")
    script = (
        "import json, os;"
        "print(json.dumps({'folder': 'x', 'env': sorted(os.environ), 'nice': os.nice(0)}))"
    )
    given = replace(order(tmp_path), command=(sys.executable, "-S", "-c", script))
    with Receiver(given) as receiver:
        post(receiver.port, payload())
        receiver.settled()
    (out,) = (tmp_path / "room").rglob("triage.out")
    told_us = json.loads(out.read_text())
    assert told_us["nice"] == min(os.nice(0) + NICE, 19)
    given_on = told_us["env"]
    assert not {TOKEN_ENV, "REPLAY_DATABASE_URL"} & set(given_on)
    assert "DATABASE_URL" in given_on
    files = [p for p in (tmp_path / "room").rglob("*") if p.is_file()]
    assert not [p for p in files if TOKEN.encode() in p.read_bytes()]
    assert not [p for p in files if p.stat().st_mode & 0o077 and "sqlite3-" not in p.name]


def test_resolved_closes_what_fired_and_only_that(tmp_path):
    """`resolved` makes one closing run of a known case; of an unknown one it makes nothing."""
    with Receiver(order(tmp_path)) as receiver:
        gone = payload("zz", status="resolved")
        assert post(receiver.port, gone)[:2] == (200, {"says": "nothing_open", "case": ""})
        case = post(receiver.port, payload("aa"))[1]["case"]
        done = payload("aa", status="resolved")
        answers = [post(receiver.port, done)[:2] for _ in range(3)]
        assert [code for code, _ in answers] == [202, 200, 200]
        assert {body["case"] for _, body in answers} == {case}
        assert receiver.settled()["done"] == 2
    assert [Path(p).name for p in told(tmp_path / "stub")] == ["triage.json", "closing.json"]


@pytest.mark.parametrize("token", ["", "short", "ünïcode-is-no-header-value"])
def test_a_weak_or_missing_token_is_refused(tmp_path, monkeypatch, token):
    """The receiver does not start without a secret worth the name."""
    monkeypatch.delenv(TOKEN_ENV, raising=False)
    file = tmp_path / "token"
    file.write_text(token, encoding="utf-8")
    file.chmod(0o600)
    with pytest.raises(UsageError):
        read_token(str(file))
    with pytest.raises(UsageError, match=TOKEN_ENV):
        read_token("")


def test_a_token_file_is_private(tmp_path):
    """A file that everybody may read is no place for a secret; a closed one is."""
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    file.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        read_token(str(file))
    for mode in (0o600, 0o640):
        file.chmod(mode)
        assert read_token(str(file)) == TOKEN
