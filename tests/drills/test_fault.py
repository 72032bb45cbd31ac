"""Promises of every fault, checked at run time."""

from __future__ import annotations

import pytest

from loomtriage.drills.fault import AppliedPlacebo, Checked, Fault, Noop, Undo
from loomtriage.drills.faults import FAULTS, revert_undo
from loomtriage.drills.faults.answers import LoseAnswers
from loomtriage.errors import ContractBroken, FaultStillActive, RevertFailed
from loomtriage.model import Evidence
from tests.drills.strangers import hollow_lab, port_that

UNDO = Undo(kind="http_refuse", fault_id="f1", lab_id="a1", detail={"port": "1"})


class Switch:
    """A fault on a switch in memory; `breaks` names the promise that it does not keep."""

    def __init__(self, breaks: str = "") -> None:
        self.breaks, self.on, self.reverts = breaks, breaks == "stands before", 0
        self.planned = UNDO

    def apply(self) -> Undo:
        self.on = True
        other = Undo(kind="other", fault_id="f1", lab_id="a1")
        return other if self.breaks == "other undo" else UNDO

    def witness(self) -> Evidence | None:
        return Evidence(kind="witness", ref="switch", says="it is on") if self.on else None

    def revert(self, undo: Undo) -> None:
        self.reverts += 1
        if self.breaks not in ("stands before", "stays"):
            self.on = False
        if self.breaks == "only once" and self.reverts > 2:
            raise ValueError("reverted already")

    def is_active(self) -> bool:
        return self.on


def test_good_fault_passes_every_check():
    """A fault that keeps its promises is applied, witnessed, reverted and gone."""
    fault = Checked(Switch())
    assert isinstance(fault, Fault)
    fault.revert(fault.planned)
    assert fault.apply() == UNDO
    assert fault.witness() is not None
    fault.revert(fault.planned)
    assert not fault.is_active()


def apply_and_revert(fault: Checked) -> None:
    fault.apply()
    fault.revert(fault.planned)


@pytest.mark.parametrize(
    ("breaks", "error"),
    [
        ("stands before", FaultStillActive),
        ("other undo", ContractBroken),
        ("stays", RevertFailed),
        ("only once", ValueError),
    ],
)
def test_broken_promise_is_caught(breaks, error):
    """A fault that breaks a promise is found out when it is used, not later."""
    with pytest.raises(error):
        apply_and_revert(Checked(Switch(breaks)))


def test_noop_twin_is_never_witnessed():
    """A fault that does not act has no witness, and its revert is safe."""
    fault = Checked(Noop(Switch()))
    fault.apply()
    assert fault.witness() is None
    fault.revert(fault.planned)


def test_undo_survives_the_journal():
    """What the journal keeps is all that revert needs; anything else is refused."""
    assert Undo.from_json(UNDO.as_json()) == UNDO
    for rubbish in (None, {}, {**UNDO.as_json(), "more": 1}, {**UNDO.as_json(), "detail": 3}):
        with pytest.raises(ContractBroken):
            Undo.from_json(rubbish)


def test_undo_of_an_unknown_kind_is_not_guessed_at():
    """A journal of another version is not recovered by chance."""
    with pytest.raises(ContractBroken, match="how to revert 'teleport'"):
        revert_undo(None, Undo(kind="teleport", fault_id="f", lab_id="a1"))
    revert_undo(None, Undo(kind="placebo", fault_id="f", lab_id="a1"))


def test_every_fault_module_offers_recovery():
    """Whatever a drill can apply, a journal alone can take back."""
    kinds = [kind for recovery in FAULTS.all(noun="fault").values() for kind in recovery.kinds]
    assert sorted(kinds) == sorted(set(kinds))
    assert {"http_refuse", "http_answer"} <= set(kinds)


@pytest.mark.parametrize(("ratio", "meets"), [(0.4, 15), (0.5, 12), (0.6, 10), (0.5, None)])
def test_answers_get_lost_too_seldom_to_be_missed(tmp_path, ratio, meets):
    """Chance alone hides lost answers from a look in less than one of a thousand times."""
    cut = meets and meets + 1  # the first request asks the server behind
    with port_that(lambda number: None if number == cut else b"") as port:
        lab = hollow_lab(tmp_path, elastic=port, elastic_direct=port)
        fault = LoseAnswers(ratio=ratio).bind(lab, fault_id="f")
        assert bool(fault.witness()) is bool(meets)
    assert (1 - ratio) ** fault.tries < 0.001


def test_the_control_of_a_placebo_proves_nothing():
    """A placebo witnesses that no fault stands; without the drill even that is no proof."""
    real = AppliedPlacebo(Undo(kind="placebo", fault_id="p", lab_id="l"), lambda: "no fault stands")
    assert real.witness() is not None
    assert Checked(Noop(real)).witness() is None
