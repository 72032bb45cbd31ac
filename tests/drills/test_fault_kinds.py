"""Promises of every fault kind, in a lab."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from loomtriage.drills.digest import LabDigest, take_digest
from loomtriage.drills.fault import Checked, Fault, FaultPlan, Noop, Undo
from loomtriage.drills.faults import FAULTS, revert_undo, standing, sweep_all
from loomtriage.drills.faults.answers import LoseAnswers, SlowAnswers
from loomtriage.drills.faults.both import Both
from loomtriage.drills.faults.http import HttpAnswer, HttpRefuse
from loomtriage.drills.faults.limits import EsLimits
from loomtriage.drills.faults.load import MoreLoad
from loomtriage.drills.faults.lock import RowLock
from loomtriage.drills.faults.log_file import LogFull
from loomtriage.drills.faults.process import KILL, StopProcess
from loomtriage.drills.faults.rows import PoisonRows, RowsTwice
from loomtriage.drills.faults.setting import IndexSetting
from loomtriage.drills.faults.worker import RESTART, WorkerEnv
from loomtriage.drills.replay import replay_failed
from loomtriage.drills.steady import wait_steady
from loomtriage.drills.waiting import wait_until
from loomtriage.lab.load import Load
from loomtriage.lab.state import LabState
from tests.drills.rehearsal import now

pytestmark = pytest.mark.lab

PLANS: dict[str, FaultPlan] = {
    "refuse": HttpRefuse(),
    "refuse_otlp": HttpRefuse(target="otlp"),
    "answer": HttpAnswer(status=429),
    "answer_some": HttpAnswer(status=429, ratio=0.5),
    "cut": LoseAnswers(ratio=0.5),
    "delay": SlowAnswers(delay_s=0.3),
    "setting": IndexSetting(),
    "limits": EsLimits(workers=1, queue=1, service_s=0.3),
    "poison": PoisonRows(every=2),
    "twice": RowsTwice(every=2),
    "lock": RowLock(),
    "stop": StopProcess(),
    "kill": StopProcess(kind=KILL),
    "env": WorkerEnv(env={"OUTBOX_BATCH_SIZE": "7"}),
    "restart": WorkerEnv(kind=RESTART),
    "log_full": LogFull(),
    "more_load": MoreLoad(per_s=10),
    "both": Both(parts=(HttpAnswer(status=429, ratio=0.5), PoisonRows(every=2))),
}
# These end with the thread or process that made them: there is nothing that could stand alone.
ENDS_WITH_RUNNER = ("more_load",)
# A service that was restarted as declared is not another service.
LEAVES_NOTHING = ("restart", "more_load")


@contextmanager
def work(lab: LabState) -> Iterator[None]:
    """Writes that give every fault something to act on."""
    with Load(lab.api_url, per_s=20, seed=now().microsecond):
        yield


@contextmanager
def unchanged(lab: LabState) -> Iterator[None]:
    """The lab at rest afterwards is the lab at rest before."""
    before, since = rest(lab), now()
    yield
    rest(lab)
    replay_failed(lab, since=since)
    assert rest(lab).differs(before.parts) == ()
    assert standing(lab) == ()


def rest(lab: LabState) -> LabDigest:
    waited = wait_steady(lab, within_s=40, say=lambda _line: None, pause=time.sleep)
    assert waited.lacking == ""
    return take_digest(lab)


def bound(lab: LabState, name: str) -> Fault:
    plan = PLANS[name]
    assert plan.lacks(lab) == ""
    return plan.bind(lab, fault_id=f"{now():%f}abc")


def witnessed(fault: Fault) -> bool:
    def lacking() -> str:
        return "" if fault.witness() else "a witness"

    return not wait_until(lacking, within_s=10, what="", say=lambda _line: None).lacking


@pytest.mark.parametrize("name", PLANS)
def test_kind_acts_is_witnessed_and_can_be_taken_back_three_times(lab, name):
    """A fault stands after apply, is proven from outside, and is gone however often reverted."""
    with unchanged(lab), work(lab):
        fault = bound(lab, name)
        checked = Checked(fault)
        assert checked.apply() == fault.planned
        assert fault.is_active() or name == "restart"
        assert bool(standing(lab)) is (name not in LEAVES_NOTHING)
        assert checked.renew()
        assert witnessed(fault)
        checked.revert(fault.planned)
        fault.revert(fault.planned)
        assert not fault.is_active()


@pytest.mark.parametrize("name", PLANS)
def test_noop_twin_is_never_witnessed_and_revert_needs_no_apply(lab, name):
    """Without its injection no kind finds a witness, and its revert changes nothing."""
    with unchanged(lab), work(lab):
        fault = bound(lab, name)
        fault.revert(fault.planned)
        Noop(fault).apply()
        assert fault.witness() is None
        assert standing(lab) == ()


@pytest.mark.parametrize("name", [n for n in PLANS if n not in ENDS_WITH_RUNNER])
def test_journal_alone_takes_a_kind_back(lab, name):
    """What the journal kept as JSON is enough, in another process's hands, and so is a sweep."""
    with unchanged(lab), work(lab):
        fault = bound(lab, name)
        fault.apply()
        undo = Undo.from_json(json.loads(json.dumps(fault.planned.as_json())))
        assert undo == fault.planned
        revert_undo(lab, undo)
        assert not fault.is_active()
        assert sweep_all(lab) == ()


@pytest.mark.parametrize("name", [n for n in PLANS if n not in LEAVES_NOTHING])
def test_sweep_takes_a_kind_back_without_any_journal(lab, name):
    """Whoever lost the journal can still take back whatever stands."""
    with unchanged(lab), work(lab):
        fault = bound(lab, name)
        fault.apply()
        assert sweep_all(lab) != ()
        assert not fault.is_active()
        fault.revert(fault.planned)


def test_every_kind_that_can_be_recovered_is_tested_here():
    """A new fault kind cannot go without these promises."""
    kinds = {kind for recovery in FAULTS.all(noun="fault").values() for kind in recovery.kinds}
    assert {plan.kind for plan in PLANS.values()} == kinds
