"""Load faults: how does harmless work double, for a placebo that is not nothing?

The writes come from a thread of the runner and end with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loomtriage.contract.keys import OUTBOX_TABLES
from loomtriage.drills.fault import Undo
from loomtriage.drills.loopback import ask
from loomtriage.drills.meter import read_exposition
from loomtriage.drills.recovery import Recovery, nothing
from loomtriage.lab.load import Load
from loomtriage.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loomtriage.lab.state import LabState

KIND = "more_load"


@dataclass(slots=True, kw_only=True)
class MoreLoadFault:
    """A second load beside the drill's own."""

    lab: LabState
    planned: Undo
    per_s: float
    _load: Load | None = field(default=None, init=False)
    _made: int = field(default=0, init=False)

    def apply(self) -> Undo:
        """Begin to write."""
        seed = int(self.planned.fault_id[:8], 16)
        # No end of its own: like any fault it stands until the drill or its budget takes it back.
        self._load = Load(self.lab.api_url, per_s=self.per_s, seed=seed, max_s=math.inf)
        self._load.start()
        return self.planned

    def witness(self) -> Evidence | None:
        """The API says that it took more than this load alone sent."""
        accepted = self._accepted
        text = ask("GET", f"{self.lab.api_url}/metrics").text
        made = sum(v for (n, _), v in read_exposition(text)[0].items() if "produced" in n)
        if not self.is_active() or not 0 < accepted < made:
            return None
        says = "The API took the writes of a second client beside those of the first."
        return Evidence(kind="witness", ref="api /metrics", says=says)

    def revert(self, undo: Undo) -> None:
        """End the second load."""
        if self._load is not None:
            self._made = self._load.stop().accepted
            self._load = None

    def is_active(self) -> bool:
        """Whether it writes."""
        return self._load is not None and self._load.is_running

    def rows_made(self) -> Mapping[str, int]:
        """Rows that it put into the outboxes, one for each write."""
        return dict.fromkeys(OUTBOX_TABLES, self._accepted)

    @property
    def _accepted(self) -> int:
        return self._made if self._load is None else self._load.accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class MoreLoad:
    """Users write more than before, and nothing is wrong.

    Attributes:
        per_s: writes a second that come on top.
    """

    per_s: float = 5.0
    kind: str = KIND

    def lacks(self, lab: LabState) -> str:
        """Nothing that a lab could be without."""
        return ""

    def bind(self, lab: LabState, *, fault_id: str) -> MoreLoadFault:
        """The second load on that lab."""
        undo = Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id)
        return MoreLoadFault(lab=lab, planned=undo, per_s=self.per_s)


RECOVERY = Recovery(
    kinds=(KIND,),
    revert=lambda _lab, _undo: None,
    standing=nothing,
    sweep=nothing,
)
