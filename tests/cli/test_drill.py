"""The drill command: what several drills come to, side by side or one after the other."""

from __future__ import annotations

import signal
import sys

import pytest

from loomtriage.cli import main
from loomtriage.cli.drill import side_by_side
from loomtriage.drills import session
from loomtriage.drills.result import DrillResult
from loomtriage.drills.session import Session
from loomtriage.errors import Exit
from loomtriage.model import State

KILLED_BY_9 = 128 + signal.SIGKILL


@pytest.fixture(autouse=True)
def _handlers():
    """What a command does about signals is over when it is."""
    kept = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for one, handler in kept.items():
        signal.signal(one, handler)


@pytest.mark.parametrize(
    ("shares", "code"),
    [
        (("exit 0", "exit 0"), 0),
        (("exit 0", "exit 3"), 3),
        (("exit 0", "kill -9 $$"), KILLED_BY_9),
        (("exit 4", "kill -9 $$"), KILLED_BY_9),
    ],
)
def test_the_worst_share_decides(tmp_path, monkeypatch, capsys, shares, code):
    """A share that was killed, by the kernel for want of memory say, fails the whole book."""
    share = tmp_path / "share"
    # It stands for Python: `-m loomtriage.cli drill` comes first, what the share is told after it.
    share.write_text('#!/bin/sh\neval "$4"\n')
    share.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(share))
    assert side_by_side([(one,) for one in shares], ()) == code
    told = "lab 2 | ended by SIGKILL; `loomtriage recover` takes back what it left."
    assert (told in capsys.readouterr().err) == (code == KILLED_BY_9)


@pytest.mark.parametrize(
    ("interrupted", "rounds", "code"), [("", 3, Exit.OK), ("SIGTERM", 1, Exit.TERMINATED)]
)
def test_a_signal_ends_the_repetition(tmp_path, monkeypatch, interrupted, rounds, code):
    """Whoever ends one round of several means them all: no other lab is started."""
    seeds = []

    def perform(names, order, *, say):
        seeds.append(order.seed)
        result = DrillResult(
            id=names[0], title="x", state=State.OK, says="x", interrupted=interrupted
        )
        yield Session(folder=None, verdict={}, result=result)

    monkeypatch.setattr(session, "run_drills", perform)
    with pytest.raises(SystemExit) as left:
        main(["drill", "placebo", "--repeat=3", "--seed=5", "--json", f"--out={tmp_path}"])
    assert left.value.code == code
    assert seeds == [5, 6, 7][:rounds]
