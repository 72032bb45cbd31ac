"""Limit faults: how does Elasticsearch take fewer writes, or take longer for each?

The stand-in holds the limits under a lease and goes back to its own when that ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loomtriage.drills.fault import Undo
from loomtriage.drills.faults.http import NO_DOCUMENT
from loomtriage.drills.loopback import ask, ask_json
from loomtriage.drills.recovery import Recovery
from loomtriage.errors import SourceUnavailable
from loomtriage.model import Evidence

if TYPE_CHECKING:
    from random import Random

    import httpx

    from loomtriage.lab.state import LabState

KIND = "es_limits"
LEASE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsFault:
    """The stand-in's write pool under other limits."""

    lab: LabState
    planned: Undo
    limits: Mapping[str, float]
    lease_s: float

    def apply(self) -> Undo:
        """Set them."""
        _demand(self._lease())
        return self.planned

    def witness(self) -> Evidence | None:
        """The stand-in says what it takes, and a write of our own meets just that."""
        if not self.is_active():
            return None
        response = ask("DELETE", self.lab.elastic_direct_url + NO_DOCUMENT)
        took_s = response.elapsed.total_seconds()
        # A full queue answers at once with 429; everybody else waits for the service time.
        if response.status_code != 429 and took_s < self.limits["service_s"] * 0.9:
            return None
        told = ", ".join(f"{name} {value:g}" for name, value in sorted(self.limits.items()))
        return Evidence(
            kind="witness",
            ref=f"http 127.0.0.1:{self.lab.ports['elastic_direct']}",
            says=f"Elasticsearch says that it takes {told}, and a write of our own showed it.",
        )

    def revert(self, undo: Undo) -> None:
        """End the lease, whether it stands or not."""
        end_lease(self.lab, undo.fault_id)

    def is_active(self) -> bool:
        """Whether the lease stands."""
        return _lease_id(self.lab) == self.planned.fault_id

    def renew(self) -> bool:
        """Prolong the lease."""
        return self.is_active() and self._lease().is_success

    def _lease(self) -> httpx.Response:
        body = {"id": self.planned.fault_id, "lease_s": self.lease_s, "limits": self.limits}
        return _admin(self.lab, "PUT", "", body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class EsLimits:
    """Elasticsearch takes fewer or slower writes.

    Attributes:
        workers, queue: writes that run, and that wait, before the next is rejected with 429.
        service_s: seconds that each document takes.
        lease_s: seconds that the fault lives without renewal.
    """

    workers: int = 2
    queue: int = 10_000
    service_s: float
    lease_s: float = LEASE_S
    kind: str = KIND

    def lacks(self, lab: LabState) -> str:
        """The stand-in's limits, when it has none with a lease."""
        return "" if "lease" in _limits(lab) else "an Elasticsearch whose limits can be leased"

    def bind(self, lab: LabState, *, fault_id: str) -> LimitsFault:
        """The fault on that lab."""
        limits = {"workers": self.workers, "queue": self.queue, "service_s": self.service_s}
        undo = Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id)
        return LimitsFault(lab=lab, planned=undo, limits=limits, lease_s=self.lease_s)

    def vary(self, draw: Random) -> EsLimits:
        """Another service time, up to a quarter more or less."""
        return replace(self, service_s=round(self.service_s * draw.uniform(0.85, 1.25), 3))


def end_lease(lab: LabState, fault_id: str) -> None:
    """Give the stand-in its own limits back; fine when they never changed."""
    _demand(_admin(lab, "DELETE", f"/{fault_id}"))


def _limits(lab: LabState) -> Mapping[str, object]:
    return ask_json(f"{lab.elastic_direct_url}/_lab/limits")


def _lease_id(lab: LabState) -> str:
    lease = _limits(lab).get("lease")
    found = lease.get("id") if isinstance(lease, Mapping) else lease
    return str(found or "")


def _standing(lab: LabState) -> tuple[str, ...]:
    found = _lease_id(lab)
    return (found,) if found else ()


def _sweep(lab: LabState) -> tuple[str, ...]:
    found = _standing(lab)
    for fault_id in found:
        end_lease(lab, fault_id)
    return found


def _admin(
    lab: LabState, method: str, path: str, *, body: Mapping[str, object] | None = None
) -> httpx.Response:
    url = f"{lab.elastic_direct_url}/_lab/limits/lease{path}"
    return ask(method, url, headers={"X-Lab-Token": lab.token}, body=body)


def _demand(response: httpx.Response) -> None:
    if not response.is_success:
        raise SourceUnavailable(
            f"Elasticsearch answered status {response.status_code} to a change of its limits.",
            hint="Look at the log of elastic below the lab's folder.",
        )


RECOVERY = Recovery(
    kinds=(KIND,),
    revert=lambda lab, undo: end_lease(lab, undo.fault_id),
    standing=_standing,
    sweep=_sweep,
)
