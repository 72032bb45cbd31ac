"""What `recover` says of labs that it could not look into, or that are somebody else's."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from loomtriage.drills import aftermath, restore
from loomtriage.drills.faults import http
from loomtriage.drills.journal import Journal
from loomtriage.drills.lock import drill_lock
from loomtriage.drills.record import Step
from loomtriage.errors import ContractBroken, Exit, SourceUnavailable
from loomtriage.lab.lock import claim
from loomtriage.lab.state import state_file, write_state
from tests.drills.strangers import hollow_lab, port_that

OTHERS = b'{"faults": [], "lab_id": "b2", "listening": true}'


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    """These labs have a proxy's port at most, and show at once what they show later."""
    monkeypatch.setattr(restore, "ASK_AGAIN_S", 0.0)
    monkeypatch.setattr(restore, "sweep_all", http.sweep)


@contextmanager
def living(home, *names, proxy=1):
    """Labs whose supervisor is this process, and whose services do not answer, or others do."""
    with ExitStack() as stack:
        for name in names:
            lab = hollow_lab(home / "labs" / name, proxy_admin=proxy)
            lab.root.mkdir(parents=True)
            stack.callback(os.close, claim(lab.root))
            write_state(replace(lab, lab_id=name, supervisor_pid=os.getpid()))
        yield


def recover(home):
    return restore.recover(home, say=lambda _line: None)


def test_fault_that_is_not_taken_back_is_no_success(tmp_path):
    """A refusal by a lab's own port is not that of a running drill."""
    with port_that(lambda _: OTHERS) as port, living(tmp_path, "mine", proxy=port):
        report = recover(tmp_path)
    assert report.exit_code is Exit.ERROR, report
    assert "no fault stands" not in str(report)
    (finding,) = report.findings
    assert finding.says.startswith("Lab mine: ")
    assert recover(tmp_path).exit_code is Exit.OK  # the control: the lab is gone


def test_lock_that_cannot_be_opened_is_no_success(tmp_path):
    """Nobody holds it, and nobody took anything back."""
    (tmp_path / "locks").write_text("in the way")
    with living(tmp_path, "mine"):
        report = recover(tmp_path)
    assert report.exit_code is Exit.ERROR, report
    assert "drill lock of this lab cannot be opened" in str(report)


def test_lab_that_somebody_holds_is_left_alone_and_named(tmp_path):
    """Its own drill sees to it; but that no fault stands there is not said."""
    with living(tmp_path, "mine"), drill_lock(tmp_path, "mine"):
        report = recover(tmp_path)
    assert (report.exit_code, report.findings) == (Exit.OK, ()), report
    assert str(report).startswith("Left alone: Lab mine: The drill lock of this lab is held by")
    assert report.as_json()["held"] == list(report.held)


def test_one_lab_does_not_keep_recover_from_the_next(tmp_path, monkeypatch):
    """Each lab has a finding of its own: one that fails, one that cannot be read, one healed."""
    healed = []

    def heal(lab, _undo):
        if lab.lab_id == "a":
            raise SourceUnavailable("It does not answer.", hint="")
        healed.append(lab.lab_id)

    monkeypatch.setattr(restore, "_heal", heal)
    with living(tmp_path, "a", "b", "c"):
        state_file(tmp_path / "labs" / "b").write_text("")
        report = recover(tmp_path)
    assert healed == ["c"]
    assert report.exit_code is Exit.ERROR
    told = sorted((one.state.name, one.says.partition(":")[0]) for one in report.findings)
    assert [state for state, _ in told] == ["ERROR", "ERROR", "OK"]
    assert ("OK", "Lab c") in told


@pytest.mark.parametrize(
    ("answers", "healed"),
    [
        ((SourceUnavailable("Nobody answers.", hint=""), ()), False),  # it was just starting
        ((("worker is dead",), ()), False),
        ((("worker is dead",), ("worker is dead",)), True),
        ((ContractBroken("What?", hint=""), SourceUnavailable("Nobody answers.", hint="")), True),
    ],
)
def test_lab_is_asked_again_before_anything_is_taken_back(tmp_path, monkeypatch, answers, healed):
    """What does not answer once is no fault, and what could not be asked did not "stand"."""
    asked, taken = iter(answers), []

    def standing(_lab):
        answer = next(asked)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(aftermath, "standing", standing)
    monkeypatch.setattr(restore, "_heal", lambda lab, _undo: taken.append(lab.lab_id))
    with living(tmp_path, "mine"):
        report = recover(tmp_path)
    assert taken == (["mine"] if healed else [])
    assert report.exit_code is Exit.OK
    if healed:
        word = (
            "this stood: worker is dead"
            if answers[1] == answers[0]
            else ("what stood could not be asked: Nobody answers")
        )
        assert word in report.findings[0].says
    else:
        assert report.findings == ()


def test_refusal_while_a_journal_is_finished_is_no_running_drill(tmp_path):
    """Only a held lock means that a drill goes on."""
    journal = Journal(tmp_path, lab_id="mine")
    with port_that(lambda _: OTHERS) as port, living(tmp_path, "mine", proxy=port):
        journal.write(Step.LOCK, lab_root=str(tmp_path / "labs" / "mine"), owns_lab=False)
        report = recover(tmp_path)
        assert (report.exit_code, report.busy) == (Exit.ERROR, ()), report
        with drill_lock(tmp_path, "mine"):
            assert recover(tmp_path).exit_code is Exit.REFUSED
