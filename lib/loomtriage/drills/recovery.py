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
        sweep: take back all of them, whoever applied them; returns the ids that stood.
    """

    kinds: tuple[str, ...]
    revert: Callable[[LabState, Undo], None]
    sweep: Callable[[LabState], tuple[str, ...]]
