"""Digest: is the lab after the drill what it was before, and if not, what differs?

The parts stand beside the hash, so that a difference can be named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loomtriage.drills.faults.http import connect_error, proxy_state
from loomtriage.drills.loopback import ask, ask_json
from loomtriage.drills.record import canonical
from loomtriage.drills.rows import count_rows, read_marks
from loomtriage.errors import TriageError
from loomtriage.lab.alive import Kernel, kernel_state
from loomtriage.lab.services import status
from loomtriage.lab.state import INDEX

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState


@dataclass(frozen=True, slots=True, kw_only=True)
class LabDigest:
    """State of the lab at rest.

    Attributes:
        parts: what was looked at, JSON values by name.
    """

    parts: Mapping[str, object]

    @property
    def sha256(self) -> str:
        """Hash over the parts."""
        return hashlib.sha256(canonical(self.parts)).hexdigest()

    def differs(self, other: Mapping[str, object]) -> tuple[str, ...]:
        """What another digest's parts have otherwise, `part.name: before -> after`."""
        before, after = _leaves(other), _leaves(self.parts)
        return tuple(
            f"{name}: {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        )


def take_digest(lab: LabState) -> LabDigest:
    """Look at all parts; a part that does not answer is recorded as that, never left out."""
    looks: Mapping[str, Callable[[], object]] = {
        "proxy": lambda: _proxy(lab),
        "index": lambda: _index(lab),
        "rows": lambda: count_rows(lab).not_done(),
        "marks": lambda: _marks(lab),
        "worker": lambda: _worker(lab),
        "ports": lambda: _ports(lab),
    }
    parts: dict[str, object] = {}
    for name, look in looks.items():
        try:
            parts[name] = look()
        except TriageError as error:
            parts[name] = {"unreadable": error.message}
    return LabDigest(parts=parts)


def worker_process(lab: LabState) -> str:
    """What the kernel says of the worker's process, see `lab.alive.Kernel`."""
    found = [service.pid for service in status(lab.root) if service.name == "worker"]
    return str(kernel_state(found[0]) if found and found[0] else Kernel.GONE)


def _proxy(lab: LabState) -> dict[str, object]:
    state = proxy_state(lab)
    return {"faults": sorted(state.faults), "listening": state.listening}


def _index(lab: LabState) -> dict[str, object]:
    response = ask("GET", f"{lab.elastic_direct_url}/{INDEX}")
    limits = ask("GET", f"{lab.elastic_direct_url}/_lab/limits")
    return {
        "status": response.status_code,
        "index": response.json() if response.status_code == 200 else {},
        "limits": _settled(limits.json()) if limits.status_code == 200 else {},
    }


def _settled(limits: Mapping[str, object]) -> dict[str, object]:
    """The limits without the count of requests, which only ever grows."""
    return {name: value for name, value in limits.items() if name != "completed"}


def _marks(lab: LabState) -> dict[str, object]:
    marks = read_marks(lab)
    return {"project": marks.project, "env": marks.env, "lab_id": marks.lab_id}


def _worker(lab: LabState) -> dict[str, object]:
    url = f"http://127.0.0.1:{lab.ports['worker_http']}"
    ready = ask("GET", f"{url}/readyz")
    body = ask_json(f"{url}/healthz")
    told = {name: body.get(name) for name in ("projection", "state", "stop_requested")}
    return {"ready": ready.status_code, "process": worker_process(lab), **told}


def _ports(lab: LabState) -> dict[str, object]:
    return {name: connect_error(port) == 0 for name, port in sorted(lab.ports.items())}


def _leaves(value: object, path: str = "") -> dict[str, str]:
    """Every value that is no mapping, by its dotted path, in canonical JSON."""
    if isinstance(value, Mapping) and value:
        found: dict[str, str] = {}
        for name, inner in value.items():
            found |= _leaves(inner, f"{path}.{name}" if path else str(name))
        return found
    text = canonical(value).decode()
    return {path: text if len(text) <= 160 else text[:157] + "..."}
