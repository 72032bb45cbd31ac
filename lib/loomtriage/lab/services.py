"""How the services of a lab are, as its supervisor keeps writing it down."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from loomtriage.errors import UsageError
from loomtriage.lab.alive import is_same, started
from loomtriage.lab.lock import lock_holder
from loomtriage.lab.state import write_private

SUPERVISOR = "supervisor"
ORDERS = "control.sock"
"""Name of the socket in a lab's folder through which its supervisor takes orders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """How one service of a lab is.

    Attributes:
        name: the service; its log is `<name>.log`.
        port: the port that it is known by, None when it has none.
        pid: its process, None before it was started.
        state: `waiting`, `starting`, `ready`, `dead` or `stopped`.
        says: since when, or how it ended.
    """

    name: str
    port: int | None
    pid: int | None
    state: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A service process that outlived its supervisor."""

    name: str
    pid: int
    mark: str


def status(root: Path) -> tuple[ServiceStatus, ...]:
    """How the lab at a folder is: its supervisor first, then every service in start order.

    Raises:
        UsageError: no lab is there.
    """
    records = _read(root)
    holder = lock_holder(root)
    if holder is None and not records:
        raise UsageError(f"No lab is at {root}.", hint="Start one: loomtriage lab up.")
    own = ServiceStatus(
        name=SUPERVISOR,
        port=None,
        pid=holder,
        state="ready" if holder else "dead",
        says="owns all services" if holder else "gone without a word; see logs/supervisor.log",
    )
    return (own, *(_seen(said, mark, holder) for said, mark in records))


def leftovers(root: Path) -> tuple[Leftover, ...]:
    """Services of an earlier lab at this folder that still run."""
    return tuple(
        Leftover(name=said.name, pid=said.pid, mark=mark)
        for said, mark in _read(root)
        if said.pid is not None and mark is not None and is_same(said.pid, mark)
    )


def services_file(root: Path) -> Path:
    """Where the supervisor writes its services down."""
    return root / "services.json"


def write_services(root: Path, services: Iterable[ServiceStatus]) -> None:
    """Write down how the services are, with what is needed to know their processes again."""
    records = [
        asdict(service) | {"mark": started(service.pid) if service.pid else None}
        for service in services
    ]
    write_private(services_file(root), json.dumps(records, indent=2))


def last_lines(log: Path, count: int) -> tuple[str, ...]:
    """The last lines of a log that are not empty, each cut to 300 characters."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            text = file.read().decode(errors="replace")
    except OSError:
        return ()
    lines = [line.strip()[:300] for line in text.splitlines() if line.strip()]
    return tuple(lines[-count:])


def _seen(said: ServiceStatus, mark: str | None, holder: int | None) -> ServiceStatus:
    """What was written down, corrected by what is there now."""
    if said.pid is None or said.state in {"dead", "stopped"} or is_same(said.pid, mark):
        return said
    how = "is gone" if holder else "gone with its supervisor"
    return replace(said, state="dead", says=how)


def _read(root: Path) -> list[tuple[ServiceStatus, str | None]]:
    try:
        records = json.loads(services_file(root).read_text())
        return [
            (
                ServiceStatus(
                    name=record["name"],
                    port=record["port"],
                    pid=record["pid"],
                    state=record["state"],
                    says=record["says"],
                ),
                record["mark"],
            )
            for record in records
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # never written, or not by us: nothing is known then
