"""Orders: how a supervisor is told to start, stop or restart a service, and how it answers.

One JSON line each way over a Unix socket in the lab's folder that only its user may open. An
order is carried out at once and answered before the service is ready: who waits asks again.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from loomtriage.errors import TriageError, UsageError
from loomtriage.lab.alive import started
from loomtriage.lab.services import ORDERS
from loomtriage.lab.supervisor.fleet import Fleet

_CAP_BYTES = 64 * 1024
_PATIENCE_S = 1.0
_log = logging.getLogger(__name__)

_ACTS = frozenset({"show", "start", "restart", "stop", "reset"})
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,99}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order.

    Attributes:
        do: `show`, `start`, `restart`, `stop` or `reset`.
        service: whom it is about, empty for `show` and `reset`.
        env: variables that a started service gets beside its declared ones.
    """

    do: str
    service: str
    env: Mapping[str, str]


def read_order(line: bytes) -> Order:
    """The order that a line of JSON holds.

    Raises:
        UsageError: it holds none.
    """
    try:
        record = json.loads(line)
        do, service, env = record["do"], record.get("service", ""), record.get("env", {})
        is_order = do in _ACTS and isinstance(service, str) and isinstance(env, dict)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        is_order = False
    if not is_order:
        raise UsageError(
            "The supervisor does not understand the order.",
            hint=f"`do` is one of {', '.join(sorted(_ACTS))}.",
        )
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name) or not isinstance(value, str) or "\0" in value:
            raise UsageError(
                f"The variable {name[:40]!r} cannot be set.",
                hint="A name has capitals, digits and underscores; a value is text.",
            )
    return Order(do=do, service=service, env=env)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDesk:
    """The socket and the services that its orders are about."""

    listener: socket.socket
    fleet: Fleet

    def answer_all(self) -> None:
        """Take and answer every order that waits."""
        with suppress(BlockingIOError):
            while True:
                asker, _ = self.listener.accept()
                with asker:
                    asker.settimeout(_PATIENCE_S)
                    # One who does not finish the line or has gone gets no answer.
                    with suppress(OSError):
                        asker.sendall(json.dumps(self._answer(_line(asker))).encode() + b"\n")

    def _answer(self, line: bytes) -> Mapping[str, object]:
        try:
            changed = self._carry_out(read_order(line))
        except TriageError as error:
            is_usage = isinstance(error, UsageError)
            return {"ok": False, "error": error.message, "hint": error.hint, "is_usage": is_usage}
        return {"ok": True, "changed": list(changed), "services": self._services()}

    def _carry_out(self, order: Order) -> tuple[str, ...]:
        if order.do != "show":
            names = ", ".join(sorted(order.env))  # values may be secrets
            _log.info("order: %s %s %s", order.do, order.service, names)
        match order.do:
            case "reset":
                return self.fleet.reset()
            case "start":
                self.fleet.start(order.service, order.env)
            case "restart":
                self.fleet.restart(order.service, order.env)
            case "stop":
                self.fleet.stop(order.service)
            case "show":
                self.fleet.watch()
        return ()

    def _services(self) -> list[Mapping[str, object]]:
        return [
            {
                "name": service.child.name,
                "pid": service.pid if service.is_running else None,
                "mark": started(service.pid) if service.pid and service.is_running else None,
                "state": service.state,
                "says": service.status().says,
                "env": dict(service.overrides),
                "is_spare": service.child.is_spare,
            }
            for service in self.fleet.services
        ]


def listen(root: Path) -> socket.socket:
    """The socket for orders to the lab at a folder, which must be the current one.

    The name is short and relative: the path of a Unix socket may have some 100 bytes only.
    """
    path = root / ORDERS
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(ORDERS)
    path.chmod(0o600)
    listener.listen(8)
    listener.settimeout(0)
    os.set_inheritable(listener.fileno(), False)  # noqa: FBT003 - the system's own signature
    return listener


def _line(asker: socket.socket) -> bytes:
    received = b""
    while b"\n" not in received and len(received) < _CAP_BYTES:
        piece = asker.recv(_CAP_BYTES)
        if not piece:
            break
        received += piece
    return received.partition(b"\n")[0]
