"""The drill command: what several drills come to, side by side or one after the other."""

from __future__ import annotations

import io
import json
import shlex
import signal
import sys
from dataclasses import replace

import pytest

from loomtriage.cli import main
from loomtriage.cli.shares import shares_of, side_by_side
from loomtriage.drills import session
from loomtriage.drills.result import DrillResult, Phase
from loomtriage.drills.session import Session
from loomtriage.errors import Exit, Refused, SourceUnavailable
from loomtriage.model import State

KILLED_BY_9 = 128 + signal.SIGKILL
DONE = DrillResult(
    id="placebo",
    title="x",
    state=State.OK,
    says="All well.",
    restored=True,
    phases=(Phase(name="lock", at="2026-03-01T12:00:00.000Z", seconds=0.1),),
)
REFUSED = Refused("Rows came.", hint="Stop what writes.")


@pytest.fixture(autouse=True)
def _handlers():
    """What a command does about signals is over when it is."""
    kept = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for one, handler in kept.items():
        signal.signal(one, handler)


@pytest.fixture
def _shell(tmp_path, monkeypatch):
    """A share is a line of shell: what it prints is what that lab's process tells."""
    share = tmp_path / "share"
    # It stands for Python: `-m loomtriage.cli drill` comes first, what the share is told after it.
    share.write_text('#!/bin/sh\neval "$4"\n')
    share.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(share))


def of(state, name="placebo", **changed):
    return replace(DONE, id=name, state=state, **changed)


def failed(error, name="placebo"):
    result = DrillResult(id=name, title="x", state=State.NO_DATA, says=str(error))
    return Session(folder=None, verdict={}, result=result, error=error)


def drill(monkeypatch, sessions, *words):
    """The exit code of a `drill` whose drills come to these; an error comes from the lab."""

    def perform(names, order, *, say):
        for one in sessions:
            if isinstance(one, Exception):
                raise one
            done = (
                Session(folder=None, verdict={}, result=one)
                if isinstance(one, DrillResult)
                else one
            )
            yield done

    monkeypatch.setattr(session, "run_drills", perform)
    with pytest.raises(SystemExit) as left:
        main(["drill", *words])
    return left.value.code


def said(result):
    told = {"folder": None, "verdict": {}, "drill": result.as_json()}
    return f"echo {shlex.quote(json.dumps(told))};"


@pytest.mark.parametrize(
    ("shares", "code"),
    [
        (("exit 0", "exit 0"), 0),
        (("exit 0", "exit 3"), 3),
        (("exit 1", "exit 3"), 1),
        (("exit 5", "exit 3"), 5),
        (("exit 1", "exit 4"), 1),
        (("exit 0", "exit 77"), 4),
        (("exit 1", "exit 143"), 143),
        (("exit 0", "kill -9 $$"), KILLED_BY_9),
        (("exit 4", "kill -9 $$"), KILLED_BY_9),
    ],
)
@pytest.mark.usefixtures("_shell")
def test_the_worst_share_decides(tmp_path, capsys, shares, code):
    """A share that was killed, by the kernel for want of memory say, fails the whole book."""
    assert side_by_side([(one,) for one in shares], (), out=tmp_path) == code
    told = "lab 2 | ended by SIGKILL; `loomtriage recover` takes back what it left."
    assert (told in capsys.readouterr().err) == (code == KILLED_BY_9)


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ((State.NO_DATA, State.BAD, State.OK), Exit.BAD),
        ((State.ERROR, State.BAD), Exit.BAD),
        ((State.WARN, State.ERROR), Exit.ERROR),
        ((State.WARN, State.NO_DATA), Exit.NO_DATA),
        ((State.OK, State.OK), Exit.OK),
    ],
)
@pytest.mark.parametrize("side", [False, True])
@pytest.mark.usefixtures("_shell")
def test_missing_data_does_not_hide_a_bad_drill(tmp_path, monkeypatch, states, code, side):
    """The worst state decides the exit code, in one lab as in several."""
    results = [of(state) for state in states]
    if side:
        codes = (int(one.exit_code) for one in results)
        shares = [(f"{said(one)} exit {code}",) for one, code in zip(results, codes, strict=True)]
        assert side_by_side(shares, (), out=tmp_path) == code
    else:
        assert drill(monkeypatch, results, "--all", f"--out={tmp_path}") == code


def test_several_drills_end_with_one_table(tmp_path, monkeypatch, capsys):
    """What was refused or broke off is told, stands in the table, and decides the exit code."""
    sessions = [
        of(State.OK),
        failed(REFUSED, "es_down"),
        failed(SourceUnavailable("Gone.", hint="")),
    ]
    code = drill(monkeypatch, sessions, "--all", f"--out={tmp_path}")
    told = capsys.readouterr()
    rows = [line.split() for line in told.out.partition("What the drills came to")[2].splitlines()]
    assert [row[:4] for row in rows[2:5]] == [
        ["es_down", "REFUSED", "-", "-"],
        ["placebo", "OK", "-", "yes"],
        ["placebo", "NO_DATA", "-", "-"],
    ]
    assert "were not performed" in told.out
    assert "Drill es_down did not come to its end: Rows came. Stop what writes." in told.err
    assert code == Exit.REFUSED


def test_a_lab_that_fails_ends_the_book_with_its_table(tmp_path, monkeypatch, capsys):
    """What was performed before is shown, and its worst state still decides."""
    sessions = [of(State.OK), of(State.BAD, "es_down"), REFUSED]
    assert drill(monkeypatch, sessions, "--all", f"--out={tmp_path}") == Exit.BAD
    told = capsys.readouterr()
    assert "What the drills came to" in told.out
    assert "No more drills are performed: Rows came." in told.err


def test_a_single_refused_drill_is_one_line(tmp_path, monkeypatch, capsys):
    """There is nothing to sum up."""
    assert drill(monkeypatch, [failed(REFUSED)], "placebo", f"--out={tmp_path}") == Exit.REFUSED
    assert capsys.readouterr() == ("", "loomtriage: Rows came. Stop what writes.\n")


def test_json_is_one_line_for_each_drill(tmp_path, monkeypatch, capsys):
    """A refused drill has its line as well, and nothing else is on stdout."""
    sessions = [of(State.OK), failed(REFUSED, "es_down")]
    code = drill(monkeypatch, sessions, "placebo", "es_down", "--json", f"--out={tmp_path}")
    told = [json.loads(line)["drill"] for line in capsys.readouterr().out.splitlines()]
    assert [(one["id"], one["state"]) for one in told] == [
        ("placebo", "OK"),
        ("es_down", "REFUSED"),
    ]
    assert code == Exit.REFUSED


@pytest.mark.usefixtures("_shell")
def test_json_of_several_labs_is_still_json(tmp_path, capsys):
    """Only progress says which lab it is from."""
    shares = [(f"echo busy >&2; {said(of(State.OK))}",), (said(of(State.OK, "es_down")),)]
    side_by_side(shares, (), out=tmp_path, as_json=True)
    told = capsys.readouterr()
    found = sorted(json.loads(line)["drill"]["id"] for line in told.out.splitlines())
    assert found == ["es_down", "placebo"]
    assert told.err == "lab 1 | busy\n"


@pytest.mark.usefixtures("_shell")
def test_drills_of_several_labs_are_shown_and_kept(tmp_path, capsys):
    """Every line of a drill says which lab it ran in, and the one table has them all."""
    heard = []
    result = of(State.BAD, says="Not restored.")
    side_by_side([(said(result),), ("exit 0",)], (), out=tmp_path, heard=heard)
    assert heard == [json.loads(json.dumps(result.as_json()))]
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "BAD: Not restored." in line]
    assert all(line.startswith("lab 1 | ") for line in lines)


@pytest.mark.usefixtures("_shell")
def test_labs_end_although_nobody_reads_them(tmp_path, monkeypatch):
    """As with `| head -1`: a full pipe holds no lab up, and the exit code tells what was lost."""

    class Closed(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    much = f"{said(of(State.OK))} head -c 300000 /dev/zero | tr '\\0' 'x'; echo;"
    assert side_by_side([(much,), ("exit 0",)], (), out=tmp_path, as_json=True) == Exit.ERROR


@pytest.mark.parametrize(
    ("names", "repeat", "labs", "shares"),
    [
        (("a", "b", "c"), 1, 2, [("a", "c", (0, 1)), ("b", (0, 1))]),
        (("a",), 5, 2, [("a", (0, 2)), ("a", (2, 3))]),
        (("a", "b"), 3, 2, [("a", "b", (0, 1)), ("a", "b", (1, 2))]),
        (("a",), 2, 8, [("a", (0, 1)), ("a", (1, 1))]),
    ],
)
def test_labs_share_drills_or_their_rounds(names, repeat, labs, shares):
    """One drill that is repeated keeps several labs busy, and each seed has its turn once."""
    wanted = tuple(
        (*share[:-1], f"--seed={7 + share[-1][0]}", f"--repeat={share[-1][1]}") for share in shares
    )
    assert shares_of(names, seed=7, repeat=repeat, labs=labs) == wanted


@pytest.mark.parametrize(
    ("interrupted", "rounds", "code"), [("", 3, Exit.OK), ("SIGTERM", 1, Exit.TERMINATED)]
)
def test_a_signal_ends_the_repetition(tmp_path, monkeypatch, interrupted, rounds, code):
    """Whoever ends one round of several means them all: no other lab is started."""
    seeds = []

    def perform(names, order, *, say):
        seeds.append(order.seed)
        yield Session(folder=None, verdict={}, result=replace(DONE, interrupted=interrupted))

    monkeypatch.setattr(session, "run_drills", perform)
    with pytest.raises(SystemExit) as left:
        main(["drill", "placebo", "--repeat=3", "--seed=5", "--json", f"--out={tmp_path}"])
    assert left.value.code == code
    assert seeds == [5, 6, 7][:rounds]
