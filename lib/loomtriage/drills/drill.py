"""Drill: what is one named fault with its load, its expectations and its look-alikes?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loomtriage.contract.causes import BY_ID
from loomtriage.drills.expect import Expectation
from loomtriage.drills.fault import FaultPlan
from loomtriage.errors import UsageError
from loomtriage.model import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """How much work the lab gets.

    Attributes:
        per_s: business operations a second; 0 is no load.
        ops: outbox operations that they lead to.
    """

    per_s: float = 8.0
    ops: tuple[str, ...] = ("upsert",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a drill may cost before it is aborted and reverted.

    Attributes:
        max_s: seconds that the fault may stand.
        max_failed_rows: rows that may fail for good.
    """

    max_s: float = 120.0
    max_failed_rows: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """A drill is data only; `perform` does the rest.

    Attributes:
        id: stable id, the name of its file.
        title: short form for lists.
        fault: what is changed.
        load: work that goes on meanwhile.
        expect: what the lab's counters must do.
        look_alikes: drill id -> what tells it apart.
        cause: the answer that the triage must give, an id of `contract.causes`.
        close_out: what to do afterwards, one sentence.
        scope: where it is to be found, for grading.
        budget: bounds of the damage.
        residue: row statuses that may hold more rows afterwards than before.

    Raises:
        UsageError: cause or look-alike is none that the contract knows.
    """

    id: str
    title: str
    fault: FaultPlan
    load: LoadPlan = field(default_factory=LoadPlan)
    expect: tuple[Expectation, ...]
    look_alikes: Mapping[str, str]
    cause: str
    close_out: str
    scope: Scope = field(default_factory=Scope)
    budget: Budget = field(default_factory=Budget)
    residue: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.cause, *self.look_alikes):
            if name not in BY_ID:
                raise UsageError(
                    f"Drill {self.id} names {name!r}, which is no cause of the contract.",
                    hint=f"Choose one of {', '.join(BY_ID)}.",
                )
