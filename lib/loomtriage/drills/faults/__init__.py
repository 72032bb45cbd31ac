"""Fault kinds: one module per injector, each with its RECOVERY."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from loomtriage.drills.fault import PLACEBO, Undo
from loomtriage.drills.recovery import Recovery
from loomtriage.errors import ContractBroken, TriageError
from loomtriage.model.collect import Collection, collect

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState

FAULTS: Collection[Recovery] = collect(
    "loomtriage.drills.faults",
    "http",
    "setting",
    "limits",
    "rows",
    "lock",
    "load",
    "process",
    "worker",
    "log_file",
    "both",
    attribute="RECOVERY",
    kind=Recovery,
)


def revert_undo(lab: LabState, undo: Undo) -> None:
    """Take back the fault of a journal entry; a no-op when it was never applied.

    Raises:
        ContractBroken: no module knows its kind.
    """
    if undo.kind == PLACEBO:
        return
    for recovery in FAULTS.all(noun="fault kind").values():
        if undo.kind in recovery.kinds:
            recovery.revert(lab, undo)
            return
    raise ContractBroken(
        f"No fault module knows how to revert {undo.kind[:60]!r}.",
        hint="It was applied by another version; take the lab down.",
    )


def sweep_all(lab: LabState) -> tuple[str, ...]:
    """Take back every fault of every known kind; what stood.

    Raises:
        TriageError: of the first kind that could not be swept, after all others were.
    """
    found: list[str] = []
    failed: list[TriageError] = []
    for recovery in FAULTS.all(noun="fault kind").values():
        try:
            found += recovery.sweep(lab)
        except TriageError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return tuple(found)


def standing(lab: LabState) -> tuple[str, ...]:
    """What stands now of every known kind, empty at rest."""
    found: list[str] = []
    for recovery in FAULTS.all(noun="fault kind").values():
        found += recovery.standing(lab)
    return tuple(found)


def no_fault_stands(lab: LabState, *, but: Iterable[str] = ()) -> str:
    """A sentence that proves the absence of any fault, empty when one stands.

    Args:
        lab: where.
        but: what stood all along, as `standing` names it, and is no fault.
    """
    from loomtriage.drills.faults.http import connect_error, proxy_state

    state = proxy_state(lab)
    if (
        set(standing(lab)) - set(but)
        or not state.listening
        or connect_error(lab.ports["elastic"]) != 0
    ):
        return ""
    return (
        "The journal records no fault; proxy, index, database and processes show none, and a "
        "connection of our own to the proxied port opens."
    )
