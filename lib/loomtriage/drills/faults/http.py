"""HTTP faults: how does a service of the lab refuse or answer wrongly, at its fault proxy?"""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import httpx

from loomtriage.drills.fault import Undo
from loomtriage.drills.loopback import ask, ask_json
from loomtriage.drills.recovery import Recovery
from loomtriage.errors import ContractBroken, Refused, SourceUnavailable
from loomtriage.lab.state import INDEX, LabState
from loomtriage.model import Evidence

if TYPE_CHECKING:
    from random import Random

LEASE_S = 10.0
NO_DOCUMENT = f"/{INDEX}/_doc/no-such-document"
REFUSE, ANSWER, CUT, DELAY = "http_refuse", "http_answer", "http_cut", "http_delay"
PORT_OF: Mapping[str, str] = {"elastic": "elastic", "otlp": "otlp_http"}
"""The port that is proxied, by the name of the target behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyState:
    """What the fault proxy says of itself.

    Attributes:
        lab_id: the lab it belongs to.
        listening: whether all its ports accept connections.
        faults: active faults, by id.
        targets: whether each target's port accepts connections.
    """

    lab_id: str
    listening: bool
    faults: Mapping[str, Mapping[str, object]]
    targets: Mapping[str, bool] = field(default_factory=dict)


def proxy_state(lab: LabState) -> ProxyState:
    """Ask the lab's fault proxy.

    Raises:
        SourceUnavailable: it does not answer.
        ContractBroken: something else sits on its port.
        Refused: it belongs to another lab.
    """
    value = ask_json(f"{lab.proxy_url}/faults")
    faults = value.get("faults")
    if not isinstance(faults, list) or not isinstance(value.get("listening"), bool):
        raise ContractBroken(
            "The fault proxy's port answers in another shape.",
            hint="Another program may sit on that port; look at `loomtriage lab status`.",
        )
    if value.get("lab_id") != lab.lab_id:
        raise Refused(
            "The fault proxy belongs to another lab.",
            hint="Take this lab down and start it again.",
        )
    return ProxyState(
        lab_id=lab.lab_id,
        listening=bool(value["listening"]),
        faults={str(fault["id"]): fault for fault in faults},
        targets=_targets(value.get("targets")),
    )


def _targets(told: object) -> dict[str, bool]:
    found = told if isinstance(told, Mapping) else {}
    return {str(name): bool(one.get("listening")) for name, one in found.items()}


def connect_error(port: int) -> int:
    """What a TCP connection to that port of this machine meets: an errno, 0 when it opens."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
        tried.settimeout(1.0)
        return tried.connect_ex(("127.0.0.1", port))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyFault:
    """One fault at the fault proxy, with a lease; each kind adds its own witness.

    Attributes:
        lab: the lab.
        planned: its undo.
        target: what stands behind the proxied port.
        settings: what the proxy is told beside id, kind, target and lease.
        lease_s: seconds that it lives without renewal.
    """

    lab: LabState
    planned: Undo
    target: str
    settings: Mapping[str, object] = field(default_factory=dict)
    lease_s: float

    @property
    def port(self) -> int:
        """The proxied port."""
        return self.lab.ports[PORT_OF[self.target]]

    def apply(self) -> Undo:
        """Tell the proxy, after a look at whose proxy it is."""
        proxy_state(self.lab)
        body = {
            "id": self.planned.fault_id,
            "kind": self.planned.kind.removeprefix("http_"),
            "target": self.target,
            "lease_s": self.lease_s,
            **self.settings,
        }
        _demand(_admin(self.lab, "POST", "/faults", body=body), 201)
        return self.planned

    def revert(self, undo: Undo) -> None:
        """Take it out of the proxy, whether it is there or not."""
        take_out(self.lab, undo.fault_id)

    def is_active(self) -> bool:
        """Whether the proxy lists it."""
        return self.planned.fault_id in proxy_state(self.lab).faults

    def renew(self) -> bool:
        """Prolong the lease."""
        path = f"/faults/{self.planned.fault_id}/lease"
        return _admin(self.lab, "PUT", path, body={"lease_s": self.lease_s}).status_code == 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseFault(ProxyFault):
    """The port is bound and refuses every connection."""

    def witness(self) -> Evidence | None:
        """Our own connection is refused, and the proxy lives and says why."""
        state = proxy_state(self.lab)
        refused = connect_error(self.port) == errno.ECONNREFUSED
        if not refused or state.targets.get(self.target, True):
            return None
        return Evidence(
            kind="witness",
            ref=f"tcp 127.0.0.1:{self.port}",
            says="A connection of our own to the proxied port was refused (ECONNREFUSED), "
            "while the proxy itself answers and says that it does not listen.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFault(ProxyFault):
    """The proxy answers by itself with an error status."""

    status: int
    tries: int

    def witness(self) -> Evidence | None:
        """Our own harmless deletes meet the status at the proxied port and not behind it."""
        direct = ask("DELETE", self.lab.elastic_direct_url + NO_DOCUMENT).status_code
        url = f"http://127.0.0.1:{self.port}{NO_DOCUMENT}"
        asked = (ask("DELETE", url).status_code for _ in range(self.tries))
        met = next((n for n, status in enumerate(asked, start=1) if status == self.status), 0)
        if not met or direct == self.status:
            return None
        return Evidence(
            kind="witness",
            ref=f"http 127.0.0.1:{self.port}",
            says=f"Request {met} of our own met status {self.status} at the proxied port, while "
            f"the server behind it answers {direct}.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRefuse:
    """A service refuses connections, as if it were down.

    Attributes:
        target: what stands behind the proxied port, a name of `PORT_OF`.
        lease_s: seconds that the fault lives without renewal.
    """

    target: str = "elastic"
    lease_s: float = LEASE_S
    kind: str = REFUSE

    def lacks(self, lab: LabState) -> str:
        """The proxied port, when the lab has none of that name."""
        return lacking_target(lab, self.target)

    def bind(self, lab: LabState, *, fault_id: str) -> RefuseFault:
        """The fault on that lab."""
        undo = Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id)
        return RefuseFault(lab=lab, planned=undo, target=self.target, lease_s=self.lease_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """Elasticsearch answers some of its requests with an error status.

    Attributes:
        status: HTTP status that it answers.
        every: 1 answers all requests so, 2 every second one.
        ratio: share of the requests instead of `every`, None for none.
        lease_s: seconds that the fault lives without renewal.
    """

    status: int
    every: int = 1
    ratio: float | None = None
    lease_s: float = LEASE_S
    kind: str = ANSWER

    def lacks(self, lab: LabState) -> str:
        """The proxied port, when the lab has none of that name."""
        return lacking_target(lab, "elastic")

    def bind(self, lab: LabState, *, fault_id: str) -> AnswerFault:
        """The fault on that lab."""
        share = {"every": self.every} if self.ratio is None else {"ratio": self.ratio}
        # The worker's requests count as well, so that our own may miss the n-th a few times.
        tries = 3 * self.every if self.ratio is None else round(6 / self.ratio)
        return AnswerFault(
            lab=lab,
            planned=Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id),
            target="elastic",
            settings={"status": self.status, **share},
            lease_s=self.lease_s,
            status=self.status,
            tries=1 if self.ratio is None and self.every == 1 else tries,
        )

    def vary(self, draw: Random) -> HttpAnswer:
        """Another share of the requests, where it is only a share."""
        return self if self.ratio is None else replace(self, ratio=draw.choice((0.4, 0.6, 0.8)))


def take_out(lab: LabState, fault_id: str) -> None:
    """Remove a fault from the lab's proxy; fine when it is not there."""
    proxy_state(lab)
    _demand(_admin(lab, "DELETE", f"/faults/{fault_id}"), 200)


def sweep(lab: LabState) -> tuple[str, ...]:
    """Remove every fault from the lab's proxy; the ids of those that stood."""
    standing = tuple(proxy_state(lab).faults)
    for fault_id in standing:
        take_out(lab, fault_id)
    return standing


RECOVERY = Recovery(
    kinds=(REFUSE, ANSWER, CUT, DELAY),
    revert=lambda lab, undo: take_out(lab, undo.fault_id),
    standing=lambda lab: tuple(proxy_state(lab).faults),
    sweep=sweep,
)


def _admin(
    lab: LabState, method: str, path: str, *, body: Mapping[str, object] | None = None
) -> httpx.Response:
    return ask(method, lab.proxy_url + path, headers={"X-Lab-Token": lab.token}, body=body)


def _demand(response: httpx.Response, status: int) -> None:
    if response.status_code != status:
        raise SourceUnavailable(
            f"The fault proxy answered status {response.status_code} instead of {status}.",
            hint="Look at the proxy's log below the lab's folder.",
        )


def lacking_target(lab: LabState, target: str) -> str:
    """A target that the lab's proxy does not stand in front of, empty when it does."""
    if PORT_OF.get(target) in lab.ports and proxy_state(lab).targets.get(target) is not None:
        return ""
    return f"a proxy in front of {target!r}"
