"""Answer faults: how does an answer get lost on its way, or come late, at the fault proxy?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loomtriage.drills.fault import Undo
from loomtriage.drills.faults.http import (
    CUT,
    DELAY,
    LEASE_S,
    NO_DOCUMENT,
    ProxyFault,
    lacking_target,
)
from loomtriage.drills.loopback import ask
from loomtriage.errors import SourceUnavailable
from loomtriage.model import Evidence

if TYPE_CHECKING:
    from random import Random

    from loomtriage.lab.state import LabState


@dataclass(frozen=True, slots=True, kw_only=True)
class CutFault(ProxyFault):
    """The request arrives; its answer does not.

    Attributes:
        tries: requests of our own until one may be expected to have met it.
    """

    tries: int

    def witness(self) -> Evidence | None:
        """Our own connections break at the proxied port and not behind it."""
        ask("DELETE", self.lab.elastic_direct_url + NO_DOCUMENT)
        url = f"http://127.0.0.1:{self.port}{NO_DOCUMENT}"
        broken = next((n for n in range(1, self.tries + 1) if _breaks(url)), 0)
        if not broken:
            return None
        return Evidence(
            kind="witness",
            ref=f"http 127.0.0.1:{self.port}",
            says=f"Request {broken} of our own to the proxied port broke off without an answer, "
            "while the server behind it answers.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayFault(ProxyFault):
    """Every answer comes late."""

    delay_s: float

    def witness(self) -> Evidence | None:
        """Our own request takes its time at the proxied port and not behind it."""
        direct = ask("DELETE", self.lab.elastic_direct_url + NO_DOCUMENT).elapsed.total_seconds()
        url = f"http://127.0.0.1:{self.port}{NO_DOCUMENT}"
        proxied = ask("DELETE", url).elapsed.total_seconds()
        if proxied < self.delay_s * 0.9 or direct > self.delay_s / 2:
            return None
        return Evidence(
            kind="witness",
            ref=f"http 127.0.0.1:{self.port}",
            says=f"A request of our own took {proxied:.2f} s at the proxied port and "
            f"{direct:.2f} s behind it.",
        )


def _breaks(url: str) -> bool:
    try:
        ask("DELETE", url)
    except SourceUnavailable:
        return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoseAnswers:
    """Elasticsearch does what it is asked, and its answer gets lost on the way.

    Attributes:
        ratio: share of the writes.
        lease_s: seconds that the fault lives without renewal.
    """

    ratio: float = 0.5
    lease_s: float = LEASE_S
    kind: str = CUT

    def lacks(self, lab: LabState) -> str:
        """The proxied port, when the lab has none of that name."""
        return lacking_target(lab, "elastic")

    def bind(self, lab: LabState, *, fault_id: str) -> CutFault:
        """The fault on that lab."""
        undo = Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id)
        return CutFault(
            lab=lab,
            planned=undo,
            target="elastic",
            settings={"ratio": self.ratio},
            lease_s=self.lease_s,
            tries=round(6 / self.ratio),
        )

    def vary(self, draw: Random) -> LoseAnswers:
        """Another share of the writes."""
        return replace(self, ratio=draw.choice((0.4, 0.5, 0.6)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowAnswers:
    """Elasticsearch answers everything, late.

    Attributes:
        delay_s: by how many seconds.
        lease_s: seconds that the fault lives without renewal.
    """

    delay_s: float
    lease_s: float = LEASE_S
    kind: str = DELAY

    def lacks(self, lab: LabState) -> str:
        """The proxied port, when the lab has none of that name."""
        return lacking_target(lab, "elastic")

    def bind(self, lab: LabState, *, fault_id: str) -> DelayFault:
        """The fault on that lab."""
        return DelayFault(
            lab=lab,
            planned=Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id),
            target="elastic",
            settings={"delay_s": self.delay_s},
            lease_s=self.lease_s,
            delay_s=self.delay_s,
        )

    def vary(self, draw: Random) -> SlowAnswers:
        """Another delay."""
        return replace(self, delay_s=round(self.delay_s * draw.uniform(0.8, 1.2), 2))
