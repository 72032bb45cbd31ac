"""Which ports a lab listens on, and who has them already."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from loomtriage.errors import Refused

FIXED: Mapping[str, int] = MappingProxyType(
    {
        "postgres": 5435,
        "api": 8000,
        "prometheus": 9090,
        "alertmanager": 9093,
        "worker": 9108,
        "worker_http": 9118,
        "worker_2": 9109,
        "worker_2_http": 9119,
        "chronicle": 9110,
        "chronicle_http": 9120,
        "otlp_grpc": 4317,
        "otlp_http": 4318,
        "otlp_http_direct": 14318,
        "jaeger": 16686,
        "elastic": 19200,
        "elastic_direct": 19201,
        "proxy_admin": 19202,
    }
)
# Below the range that the kernel hands out for outgoing connections, so that no client of a busy
# machine takes one of ours between the choice and the bind.
_AUTO = range(20000, 32000)
_LISTEN = "0A"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who listens on a port: process id and name, None when this user may not see them."""

    pid: int | None
    name: str | None

    def __str__(self) -> str:
        if self.pid is None:
            return "a process that this user may not see"
        return f"process {self.pid} ({self.name})" if self.name else f"process {self.pid}"


def choose(mode: str) -> Mapping[str, int]:
    """Ports by service name: the `fixed` ones, or free ones for `auto`."""
    return FIXED if mode == "fixed" else _free(tuple(FIXED))


def refuse_taken(ports: Mapping[str, int]) -> None:
    """Stop before anything is started when one of the ports is in use.

    Raises:
        Refused: names every taken port and, where visible, its owner.
    """
    taken = {name: port for name, port in ports.items() if not is_free(port)}
    if not taken:
        return
    owners = "; ".join(
        f"port {port} ({name}) belongs to {owner_of(port) or 'a process that does not listen'}"
        for name, port in taken.items()
    )
    raise Refused(f"The lab cannot start: {owners}.", hint="Stop that, or use --ports auto.")


def is_free(port: int) -> bool:
    """Could a server on 127.0.0.1 take this port now?"""
    with socket.socket() as probe:
        # As servers do: an old connection in TIME_WAIT does not count as an owner.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def owner_of(port: int) -> Owner | None:
    """Who listens on a port; None when nobody does (or the system does not tell)."""
    inodes = {inode for _, number, inode in _listening() if number == port}
    if not inodes:
        return None
    for folder in Path("/proc").glob("[0-9]*"):
        if inodes & _socket_inodes(folder):
            return Owner(pid=int(folder.name), name=_name(folder))
    return Owner(pid=None, name=None)


def belongs(port: int, *, session: int) -> bool | None:
    """Does a process of this session listen on the port? None when the system does not tell."""
    if not Path("/proc/net/tcp").exists():
        return None
    inodes = {inode for _, number, inode in _listening() if number == port}
    if inodes & _socket_inodes(Path(f"/proc/{session}")):
        return True
    owner = owner_of(port)
    if owner is None:
        return False
    with suppress(ProcessLookupError):
        return None if owner.pid is None else os.getsid(owner.pid) == session
    return False


def addresses_of(pids: Iterable[int]) -> frozenset[tuple[str, int]]:
    """Every (address, port) that these processes listen on, as far as the system tells."""
    inodes = frozenset().union(*(_socket_inodes(Path(f"/proc/{pid}")) for pid in pids))
    return frozenset((where, port) for where, port, inode in _listening() if inode in inodes)


def _free(names: Sequence[str]) -> Mapping[str, int]:
    """Neighbouring ports, all of them free: a lab that runs guards its spare ones by the others.

    Raises:
        Refused: there are no such.
    """
    firsts = _AUTO[:: len(names)]
    for first in random.SystemRandom().sample(firsts, len(firsts)):
        block = _AUTO[first - _AUTO.start :][: len(names)]
        if len(block) == len(names) and all(map(is_free, block)):
            return MappingProxyType(dict(zip(names, block, strict=True)))
    raise Refused(
        f"No {len(names)} neighbouring ports are free between {_AUTO.start} and {_AUTO.stop}.",
        hint="Stop what listens there.",
    )


def _listening() -> Iterator[tuple[str, int, str]]:
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        with suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    where, number = fields[1].split(":")
                    yield _address(where), int(number, 16), fields[9]


def _address(digits: str) -> str:
    # The kernel prints each 32-bit group in the machine's own byte order.
    raw = b"".join(bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8))
    mapped = b"\0" * 10 + b"\xff\xff"  # an IPv6 socket that speaks IPv4 only
    raw = raw.removeprefix(mapped)
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def _socket_inodes(process: Path) -> frozenset[str]:
    found = set()
    with suppress(OSError):
        for entry in (process / "fd").iterdir():
            with suppress(OSError):
                kind, _, inode = str(entry.readlink()).partition(":[")
                if kind == "socket":
                    found.add(inode.rstrip("]"))
    return frozenset(found)


def _name(process: Path) -> str | None:
    with suppress(OSError):
        return (process / "comm").read_text().strip() or None
    return None
