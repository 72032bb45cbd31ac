"""Control line: how one order travels to the supervisor of a lab, and what it answers."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from loomtriage.errors import ContractBroken, SourceUnavailable, TriageError, UsageError
from loomtriage.lab.alive import Kernel, kernel_state
from loomtriage.lab.services import ORDERS

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState

ANSWER_S = 60.0
"""The supervisor may be ending other services, each of which takes 5 s at most."""

NO_ENV: Mapping[str, str] = MappingProxyType({})
Do = Literal["show", "start", "restart", "stop", "reset"]


class Phase(StrEnum):
    """Where in its life a service is; `off` is a spare one that nobody started."""

    OFF = "off"
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    STOPPED = "stopped"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One service of a running lab.

    Attributes:
        name: of the service; its log is `<name>.log`.
        pid: leader of its process group, None when it does not run.
        mark: tells that process from a later one of the same id, see `lab.alive`.
        phase: as its supervisor sees it.
        says: since when, or how it ended.
        env: variables that differ from its declared ones, empty when none does.
        kernel: what the kernel says of the process right now.
        log: its log.
        is_spare: whether it runs only when it was started through here.
    """

    name: str
    pid: int | None
    mark: str | None
    phase: Phase
    says: str
    env: Mapping[str, str]
    kernel: Kernel
    log: Path
    is_spare: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the supervisor says: the services it had to change, and all as they are now."""

    changed: tuple[str, ...]
    services: tuple[Process, ...]


def ask(lab: LabState, do: Do, *, service: str = "", env: Mapping[str, str] = NO_ENV) -> Answer:
    """Send one order and read the answer.

    Raises:
        SourceUnavailable: nobody takes orders there.
        UsageError, TriageError: the supervisor refuses, or could not carry it out.
        ContractBroken: what answers is no supervisor of this version.
    """
    line = json.dumps({"do": do, "service": service, "env": dict(env)}).encode() + b"\n"
    try:
        with _connected(lab.root) as supervisor:
            supervisor.sendall(line)
            told = b"".join(iter(lambda: supervisor.recv(65_536), b""))
    except OSError as error:
        raise SourceUnavailable(
            f"The supervisor of the lab at {lab.root} does not take orders: {error}.",
            hint="Look at `loomtriage lab status`.",
        ) from error
    try:
        record = json.loads(told)
        if not record["ok"]:
            refusal = UsageError if record["is_usage"] else TriageError
            raise refusal(record["error"], hint=record["hint"])
        services = tuple(_process(lab, one) for one in record["services"])
        return Answer(changed=tuple(record["changed"]), services=services)
    except (ValueError, KeyError, TypeError):
        raise ContractBroken(
            f"The supervisor of the lab at {lab.root} answers in another shape.",
            hint="It was started by another version: run loomtriage lab down, then lab up.",
        ) from None


def _process(lab: LabState, record: Mapping[str, object]) -> Process:
    pid, mark = record["pid"], record["mark"]
    return Process(
        name=str(record["name"]),
        pid=pid if isinstance(pid, int) else None,
        mark=mark if isinstance(mark, str) else None,
        phase=Phase(str(record["state"])),
        says=str(record["says"]),
        env=MappingProxyType(dict(record["env"])),  # type: ignore[call-overload]
        kernel=kernel_state(pid) if isinstance(pid, int) else Kernel.GONE,
        log=lab.logs / f"{record['name']}.log",
        is_spare=bool(record["is_spare"]),
    )


@contextmanager
def _connected(root: Path) -> Iterator[socket.socket]:
    """A connection to the supervisor; its socket may lie deeper than such paths may be long."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        short = Path(f"/proc/self/fd/{folder}")
        path = (short if short.exists() else root) / ORDERS
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as supervisor:
            supervisor.settimeout(ANSWER_S)
            supervisor.connect(str(path))
            yield supervisor
    finally:
        os.close(folder)
