"""Setup: what is one performance of a drill given?"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loomtriage.drills.drill import Drill
from loomtriage.drills.fault import Inject
from loomtriage.drills.journal import Journal
from loomtriage.drills.result import TriageAnswer
from loomtriage.lab.load import MAX_S
from loomtriage.model import Window

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState

Triage = Callable[[Window, Window], TriageAnswer]
"""Given the fault's window and its baseline, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds of each part of a drill.

    Attributes:
        steady_s: bound of the wait for rest before anything is touched.
        first_work_s: bound of the wait for the first finished row.
        baseline_s: healthy window, not shorter than the fault's: 20 scrapes of 0.5 s need 10 s.
        fault_s: how long the fault stands before the triage is asked.
        recovery_s: how long the load goes on after the revert.
        settle_s: bound of the wait for rest at the end.
        late_s: rest that takes longer than this is late.
    """

    steady_s: float = 15.0
    first_work_s: float = 8.0
    baseline_s: float = 11.0
    fault_s: float = 11.0
    recovery_s: float = 1.5
    settle_s: float = 40.0
    late_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One performance.

    Attributes:
        drill, lab: what is performed, and where.
        journal: its fault journal, not yet written to.
        folder: receives `drill.json`.
        say: takes progress lines.
        triage: asked while the fault stands.
        seed: of the load.
        times: seconds of each part.
        inject: whether apply really acts.
        owns_lab: whether the lab was started for this drill, so that `recover` may take it down.
        abort_if: one more reason to abort, asked by the abort evaluator; empty while all is well.
        is_blind: whether nobody may see from the processes which kind of fault stands: every one
            gets a keeper then, needed or not.
    """

    drill: Drill
    lab: LabState
    journal: Journal
    folder: Path
    say: Callable[[str], None]
    triage: Triage
    seed: int = 0
    times: Times = field(default_factory=Times)
    inject: Inject = Inject.REAL
    owns_lab: bool = False
    abort_if: Callable[[], str] = str
    is_blind: bool = False

    @property
    def load_max_s(self) -> float:
        """Seconds after which the load ends by itself: it outlasts a fault of the whole budget."""
        return MAX_S + self.drill.budget.max_s

    @property
    def load_seed(self) -> int:
        """A seed of entities that no earlier drill on this lab has written, whatever its own."""
        draw = random.Random(f"{self.seed} {self.journal.path.name}")  # noqa: S311  (no secret)
        return draw.getrandbits(64)
