"""Living: which labs of a home still run, and which of them is a journal's?

A lab is gone only when its state is not there, or is another lab's. A state that cannot be read
says nothing, and a fault may stand behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from loomtriage.errors import ContractBroken, TriageError, UsageError
from loomtriage.lab.lock import lock_holder
from loomtriage.lab.state import LabState, is_alive, read_state


def lab_of(detail: Mapping[str, object], lab_id: str) -> LabState | None:
    """The lab of a journal's first line, None when it is gone or another one has its folder.

    Raises:
        ContractBroken: its state cannot be read.
    """
    try:
        lab = read_state(Path(str(detail.get("lab_root", ""))))
    except UsageError:
        return None
    if lab.lab_id != lab_id:
        return None
    return lab if is_alive(lab) or _answers(lab) else None


def living_labs(home: Path) -> tuple[tuple[LabState, ...], tuple[ContractBroken, ...]]:
    """Every lab of that home that runs, and why the state of others that run cannot be read."""
    found, unreadable = [], []
    for root in sorted((home / "labs").glob("*")):
        try:
            lab = read_state(root)
        except UsageError:
            continue
        except ContractBroken as error:
            if lock_holder(root) is not None:
                unreadable.append(error)
            continue
        if is_alive(lab):
            found.append(lab)
    return tuple(found), tuple(unreadable)


def _answers(lab: LabState) -> bool:
    from loomtriage.drills.faults.http import proxy_state

    try:
        proxy_state(lab)
    except TriageError:  # nobody, or whoever has the port since it died
        return False
    return True
