"""Drill: what is one named fault with its load, its expectations and its look-alikes?"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace

from loomtriage.contract.causes import BY_ID
from loomtriage.contract.doubts import Doubt
from loomtriage.drills.expect import Expectation
from loomtriage.drills.fault import FaultPlan, Varied
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
        accept: other causes that are right as well, because the same signals show both.
        doubt: what the triage must have observed where the cause is unknown: to know nothing for
            want of data is no answer.
        variants: faults that a seed may draw instead of `fault`; the signals are alike.
        services: services that run with other variables for the length of the drill, or that
            run at all because of it.
        silent: processes that the fault may silence, so that they give no metrics.
        fault_s: seconds that the fault must stand at least, 0 for what is usual.
        close_out: what to do afterwards, one sentence.
        scope: where it is to be found, for grading.
        onset_s: seconds of health beyond what is usual.
        budget: bounds of the damage.
        residue: row statuses that may hold more rows afterwards than before.

    Raises:
        UsageError: cause or look-alike is none that the contract knows, or a doubt is named
            beside a cause, or none beside `unknown`.
    """

    id: str
    title: str
    fault: FaultPlan
    load: LoadPlan = field(default_factory=LoadPlan)
    expect: tuple[Expectation, ...]
    look_alikes: Mapping[str, str]
    cause: str
    accept: tuple[str, ...] = ()
    doubt: Doubt | None = None
    close_out: str
    scope: Scope = field(default_factory=Scope)
    variants: tuple[FaultPlan, ...] = ()
    services: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    silent: tuple[str, ...] = ()
    fault_s: float = 0.0
    onset_s: float = 0.0
    budget: Budget = field(default_factory=Budget)
    residue: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.cause, *self.accept, *self.look_alikes):
            if name not in BY_ID:
                raise UsageError(
                    f"Drill {self.id} names {name!r}, which is no cause of the contract.",
                    hint=f"Choose one of {', '.join(BY_ID)}.",
                )
        if (self.cause == "unknown") is not (self.doubt is not None):
            raise UsageError(
                f"Drill {self.id} has the cause {self.cause!r} and the doubt {self.doubt!r}.",
                hint="Where no rule knows the cause, and only there, a doubt must be observed.",
            )

    @property
    def faults(self) -> tuple[str, ...]:
        """The causes that stand at once: one, unless the fault has several parts."""
        return (self.cause, *self.accept) if getattr(self.fault, "parts", ()) else (self.cause,)

    def drawn(self, seed: int) -> Drill:
        """The same drill with the variant, load, onset and numbers that a seed draws."""
        draw = random.Random(f"{self.id} {seed}")  # noqa: S311  (variety, no secret)
        plans = (self.fault, *self.variants)
        fault = plans[seed % len(plans)]
        per_s = round(self.load.per_s * draw.uniform(0.85, 1.3), 2)
        return replace(
            self,
            fault=fault.vary(draw) if isinstance(fault, Varied) else fault,
            load=replace(self.load, per_s=per_s),
            onset_s=round(draw.uniform(0.0, 2.0), 2),
        )

    def told(self) -> str:
        """What was drawn, for the record."""
        return (
            f"Fault {_spelled(self.fault)}; load {self.load.per_s:g} writes a second; "
            f"onset {self.onset_s:g} s later than usual."
        )


def _spelled(plan: object) -> str:
    """The kind and numbers of a fault plan."""
    if not is_dataclass(plan) or isinstance(plan, type):
        return str(plan)
    told = {one.name: getattr(plan, one.name) for one in fields(plan)}
    inner = [_spelled(part) for part in told.pop("parts", ())]
    numbers = [f"{k} {v}" for k, v in told.items() if k not in ("kind", "lease_s") and v]
    return f"{told['kind']} ({', '.join([*numbers, *inner])})"
