"""Fault: what is a reversible change of the lab, and which promises does every one keep?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from loomtriage.errors import ContractBroken, FaultStillActive, RevertFailed
from loomtriage.model import Evidence

if TYPE_CHECKING:
    from random import Random

    from loomtriage.lab.state import LabState

PLACEBO = "placebo"


class Inject(StrEnum):
    """Whether apply really acts; the noop twin proves that a drill notices when it does not."""

    REAL = "real"
    NOOP = "noop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """All that revert needs, as JSON, known before apply so that the journal alone can recover.

    Attributes:
        kind: fault kind, a name that some module of `drills/faults` knows how to revert.
        fault_id: random id, chosen before apply.
        lab_id: the lab it acts on.
        detail: what else the kind needs; never a secret.
    """

    kind: str
    fault_id: str
    lab_id: str
    detail: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The form that the journal keeps."""
        return {
            "kind": self.kind,
            "fault_id": self.fault_id,
            "lab_id": self.lab_id,
            "detail": dict(self.detail),
        }

    @classmethod
    def from_json(cls, value: object) -> Undo:
        """Read it back.

        Raises:
            ContractBroken: it is no undo.
        """
        if not (
            isinstance(value, Mapping)
            and set(value) == {"kind", "fault_id", "lab_id", "detail"}
            and isinstance(value["detail"], Mapping)
        ):
            raise ContractBroken(
                "A journal entry does not say how to revert its fault.",
                hint="Run `loomtriage recover`; it then reverts every fault kind it knows.",
            )
        return cls(
            kind=str(value["kind"]),
            fault_id=str(value["fault_id"]),
            lab_id=str(value["lab_id"]),
            detail={str(key): str(text) for key, text in value["detail"].items()},
        )


@runtime_checkable
class Fault(Protocol):
    """A reversible change, bound to one lab.

    `planned` is the undo, known before `apply`. `revert` is idempotent, order-free and safe when
    nothing was ever applied. `witness` is proof that does not rest on the injector's own word.
    """

    @property
    def planned(self) -> Undo:
        """What `apply` will return."""
        ...

    def apply(self) -> Undo:
        """Make the change."""
        ...

    def witness(self) -> Evidence | None:
        """Independent proof that the fault acts now, None without it."""
        ...

    def revert(self, undo: Undo) -> None:
        """Take the change back."""
        ...

    def is_active(self) -> bool:
        """Whether the change stands now."""
        ...


@runtime_checkable
class Productive(Protocol):
    """A fault that puts rows of its own into the outbox."""

    def rows_made(self) -> Mapping[str, int]:
        """How many by projection, also after it was taken back."""
        ...


@runtime_checkable
class Leased(Protocol):
    """A fault that heals by itself unless it is renewed."""

    def renew(self) -> bool:
        """Prolong the lease; False when the fault is gone already."""
        ...


class FaultPlan(Protocol):
    """A fault as a drill names it: data only, bound to a lab when it is performed."""

    @property
    def kind(self) -> str:
        """Name under which the journal knows how to revert it."""
        ...

    def lacks(self, lab: LabState) -> str:
        """What the lab does not have for this fault to act on, empty when all is there."""
        ...

    def bind(self, lab: LabState, *, fault_id: str) -> Fault:
        """The fault on that lab."""
        ...


@runtime_checkable
class Varied(Protocol):
    """A fault plan whose numbers a seed may draw."""

    def vary(self, draw: Random) -> FaultPlan:
        """The same fault with other numbers."""
        ...


def rows_made(fault: Fault) -> Mapping[str, int]:
    """Rows by projection that a fault put into the outboxes beside those of the load."""
    return fault.rows_made() if isinstance(fault, Productive) else {}


@dataclass(frozen=True, slots=True)
class Checked:
    """Wraps a fault and holds it to its promises at run time."""

    fault: Fault

    @property
    def planned(self) -> Undo:
        """What `apply` will return."""
        return self.fault.planned

    def apply(self) -> Undo:
        """Apply, after proof that a revert without apply changes nothing.

        Raises:
            FaultStillActive: the fault stands before it was applied.
            ContractBroken: apply returned another undo than the one that was journalled.
        """
        self.fault.revert(self.planned)
        if self.fault.is_active():
            raise FaultStillActive(
                f"Fault {self.planned.kind} stands before it was applied.",
                hint="Run `loomtriage recover`.",
            )
        undo = self.fault.apply()
        if undo != self.planned:
            raise ContractBroken(
                f"Fault {undo.kind} was applied in another way than its journal entry says.",
                hint="`apply` must return `planned`.",
            )
        return undo

    def witness(self) -> Evidence | None:
        """Independent proof that the fault acts now."""
        return self.fault.witness()

    def revert(self, undo: Undo) -> None:
        """Revert twice, then look.

        Raises:
            RevertFailed: the fault still stands.
        """
        self.fault.revert(undo)
        self.fault.revert(undo)
        if self.fault.is_active():
            raise RevertFailed(
                f"Fault {undo.kind} still stands after two reverts.",
                hint="Run `loomtriage recover`, or take the lab down.",
            )

    def is_active(self) -> bool:
        """Whether the change stands now."""
        return self.fault.is_active()

    def renew(self) -> bool:
        """Prolong the lease; True for a fault that has none."""
        return self.fault.renew() if isinstance(self.fault, Leased) else True

    def rows_made(self) -> Mapping[str, int]:
        """Rows by projection that the fault put into the outboxes."""
        return rows_made(self.fault)


@dataclass(frozen=True, slots=True)
class Noop:
    """The twin of a fault that never acts; its witness must then find nothing."""

    fault: Fault

    @property
    def planned(self) -> Undo:
        """What the real one would need."""
        return self.fault.planned

    def apply(self) -> Undo:
        """Do nothing."""
        return self.fault.planned

    def witness(self) -> Evidence | None:
        """The real fault's witness; None for a placebo, which its control cannot be told from."""
        return None if isinstance(self.fault, AppliedPlacebo) else self.fault.witness()

    def revert(self, undo: Undo) -> None:
        """The real fault's revert, which must be safe."""
        self.fault.revert(undo)

    def is_active(self) -> bool:
        """Whether the real change stands."""
        return self.fault.is_active()


@dataclass(frozen=True, slots=True)
class AppliedPlacebo:
    """No fault at all; its witness is proof that none stands."""

    planned: Undo
    untouched: Callable[[], str]

    def apply(self) -> Undo:
        """Do nothing."""
        return self.planned

    def witness(self) -> Evidence | None:
        """Proof that no fault stands, None when one does."""
        says = self.untouched()
        return Evidence(kind="witness", ref="fault journal", says=says) if says else None

    def revert(self, undo: Undo) -> None:
        """Do nothing."""

    def is_active(self) -> bool:
        """Never."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Placebo:
    """The plan of no fault: everything happens as in a drill, except the fault."""

    kind: str = PLACEBO

    def lacks(self, lab: LabState) -> str:
        """Nothing is needed."""
        return ""

    def bind(self, lab: LabState, *, fault_id: str) -> AppliedPlacebo:
        """The placebo on that lab."""
        from loomtriage.drills.faults import no_fault_stands

        undo = Undo(kind=PLACEBO, fault_id=fault_id, lab_id=lab.lab_id)
        return AppliedPlacebo(undo, lambda: no_fault_stands(lab))
