"""Recovery: what must a fault kind offer so that a journal alone can take it back?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loomtriage.drills.fault import Undo

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How the fault kinds of one module are taken back without the drill that applied them.

    Attributes:
        kinds: undo kinds that it knows.
        revert: take back one of them; a no-op when it was never applied.
        standing: what of these kinds stands now, whoever applied it; empty at rest.
        sweep: take back all of them, whoever applied them; returns what stood.
    """

    kinds: tuple[str, ...]
    revert: Callable[[LabState, Undo], None]
    standing: Callable[[LabState], tuple[str, ...]]
    sweep: Callable[[LabState], tuple[str, ...]]


def nothing(_lab: LabState) -> tuple[str, ...]:
    """Nothing stands: for kinds that end with the runner, or that another module sweeps."""
    return ()
