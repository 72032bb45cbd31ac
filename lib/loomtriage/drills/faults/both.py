"""Both: how do two faults stand at once, taken back one by one?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from loomtriage.drills.fault import (
    Fault,
    FaultPlan,
    Leased,
    Undo,
    Varied,
    rows_made,
)
from loomtriage.drills.recovery import Recovery, nothing
from loomtriage.errors import TriageError
from loomtriage.model import Evidence

if TYPE_CHECKING:
    from random import Random

    from loomtriage.lab.state import LabState

KIND = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class BothFault:
    """Two faults as one."""

    planned: Undo
    parts: tuple[Fault, ...]

    def apply(self) -> Undo:
        """Apply one after the other."""
        for part in self.parts:
            part.apply()
        return self.planned

    def witness(self) -> Evidence | None:
        """Proof of both, None while one lacks it."""
        found = [evidence for part in self.parts if (evidence := part.witness()) is not None]
        if len(found) < len(self.parts):
            return None
        says = " ".join(evidence.says for evidence in found)
        return Evidence(kind="witness", ref=", ".join(e.ref for e in found), says=says)

    def revert(self, undo: Undo) -> None:
        """Take both back, the second even when the first fails.

        Raises:
            TriageError: one could not be taken back.
        """
        _all_of(partial(part.revert, part.planned) for part in reversed(self.parts))

    def is_active(self) -> bool:
        """Whether any of them stands."""
        return any(part.is_active() for part in self.parts)

    def renew(self) -> bool:
        """Prolong the lease of those that have one."""
        renewed = [part.renew() for part in self.parts if isinstance(part, Leased)]
        return all(renewed)

    def rows_made(self) -> Mapping[str, int]:
        """Rows by projection that they put into the outboxes."""
        total: Counter[str] = Counter()
        for part in self.parts:
            total.update(rows_made(part))
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """Two faults at once, in the order in which they are applied."""

    parts: tuple[FaultPlan, ...]
    kind: str = KIND

    def lacks(self, lab: LabState) -> str:
        """What the first of them lacks that lacks something."""
        return next((lacking for part in self.parts if (lacking := part.lacks(lab))), "")

    def bind(self, lab: LabState, *, fault_id: str) -> BothFault:
        """Both on that lab; their undos stand inside the one of the pair."""
        parts = tuple(
            plan.bind(lab, fault_id=f"{fault_id}-{number}")
            for number, plan in enumerate(self.parts)
        )
        detail = {str(n): json.dumps(part.planned.as_json()) for n, part in enumerate(parts)}
        undo = Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id, detail=detail)
        return BothFault(planned=undo, parts=parts)

    def vary(self, draw: Random) -> Both:
        """Both varied."""
        return replace(
            self, parts=tuple(p.vary(draw) if isinstance(p, Varied) else p for p in self.parts)
        )


def undos_of(undo: Undo) -> Mapping[str, Undo]:
    """The undos inside that of a pair, by number."""
    return {name: Undo.from_json(json.loads(text)) for name, text in undo.detail.items()}


def _revert(lab: LabState, undo: Undo) -> None:
    from loomtriage.drills.faults import revert_undo

    inner = sorted(undos_of(undo).items(), reverse=True)
    _all_of(partial(revert_undo, lab, one) for _, one in inner)


def _all_of(reverts: Iterable[Callable[[], None]]) -> None:
    """Every revert, also after one that fails; then raise the first failure."""
    failed: list[TriageError] = []
    for revert in reverts:
        try:
            revert()
        except TriageError as error:
            failed.append(error)
    if failed:
        raise failed[0]


RECOVERY = Recovery(kinds=(KIND,), revert=_revert, standing=nothing, sweep=nothing)
