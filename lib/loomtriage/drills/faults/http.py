"""HTTP faults: how does a service of the lab refuse or answer wrongly, at its fault proxy?"""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from loomtriage.drills.fault import Undo
from loomtriage.drills.loopback import ask, ask_json
from loomtriage.drills.recovery import Recovery
from loomtriage.errors import ContractBroken, Refused, SourceUnavailable
from loomtriage.lab.state import INDEX, LabState
from loomtriage.model import Evidence

LEASE_S = 10.0
KINDS = ("http_refuse", "http_answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyState:
    """What the fault proxy says of itself.

    Attributes:
        lab_id: the lab it belongs to.
        listening: whether its port accepts connections.
        faults: active faults, by id.
    """

    lab_id: str
    listening: bool
    faults: Mapping[str, Mapping[str, object]]


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
    )


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
        settings: what the proxy is told beside id, kind and lease.
        lease_s: seconds that it lives without renewal.
        port: the proxied port.
    """

    lab: LabState
    planned: Undo
    settings: Mapping[str, object] = field(default_factory=dict)
    lease_s: float
    port: int

    def apply(self) -> Undo:
        """Tell the proxy, after a look at whose proxy it is."""
        proxy_state(self.lab)
        body = {
            "id": self.planned.fault_id,
            "kind": self.planned.kind.removeprefix("http_"),
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
        if not refused or state.listening:
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
    every: int

    def witness(self) -> Evidence | None:
        """Our own harmless deletes meet the status at the proxied port and not behind it."""
        path = f"/{INDEX}/_doc/no-such-document"
        direct = ask("DELETE", self.lab.elastic_direct_url + path).status_code
        # The worker's requests count as well, so that our own may miss the n-th a few times.
        tries = 1 if self.every == 1 else 3 * self.every
        met = 0
        for _ in range(tries):
            met += ask("DELETE", f"http://127.0.0.1:{self.port}{path}").status_code == self.status
        if not met or direct == self.status:
            return None
        return Evidence(
            kind="witness",
            ref=f"http 127.0.0.1:{self.port}",
            says=f"{met} of {tries} requests of our own met status {self.status} at the "
            f"proxied port, while the server behind it answers {direct}.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRefuse:
    """A service refuses connections, as if it were down.

    Attributes:
        target: name of the proxied port in the lab's state.
        lease_s: seconds that the fault lives without renewal.
    """

    target: str = "elastic"
    lease_s: float = LEASE_S
    kind: str = "http_refuse"

    def lacks(self, lab: LabState) -> str:
        """The proxied port, when the lab has none of that name."""
        return _lacks(lab, self.target)

    def bind(self, lab: LabState, *, fault_id: str) -> RefuseFault:
        """The fault on that lab."""
        undo = Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id)
        port = lab.ports[self.target]
        return RefuseFault(lab=lab, planned=undo, lease_s=self.lease_s, port=port)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A service answers every n-th request with an error status.

    Attributes:
        target: name of the proxied port in the lab's state.
        status: HTTP status that it answers.
        every: 1 answers all requests so, 2 every second one.
        lease_s: seconds that the fault lives without renewal.
    """

    target: str = "elastic"
    status: int
    every: int = 1
    lease_s: float = LEASE_S
    kind: str = "http_answer"

    def lacks(self, lab: LabState) -> str:
        """The proxied port, when the lab has none of that name."""
        return _lacks(lab, self.target)

    def bind(self, lab: LabState, *, fault_id: str) -> AnswerFault:
        """The fault on that lab."""
        return AnswerFault(
            lab=lab,
            planned=Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id),
            settings={"status": self.status, "every": self.every},
            lease_s=self.lease_s,
            port=lab.ports[self.target],
            status=self.status,
            every=self.every,
        )


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


RECOVERY = Recovery(kinds=KINDS, revert=lambda lab, undo: take_out(lab, undo.fault_id), sweep=sweep)


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


def _lacks(lab: LabState, target: str) -> str:
    return "" if target in lab.ports else f"a proxied port {target!r}"
