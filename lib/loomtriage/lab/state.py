"""Which lab is at a folder: its ports, its addresses and how its services are."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from loomtriage.errors import ContractBroken, UsageError
from loomtriage.lab.lock import lock_holder

ENV = "sandbox"
INDEX = f"wordloom-{ENV}-search-index"
DATABASE = "wordloom_sandbox"
OWNER_ROLE = "lab"
READER_ROLE = "loomtriage_reader"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabState:
    """One lab that became ready, as its supervisor wrote it down.

    Attributes:
        lab_id: random hex, new at every start; names nothing.
        root: folder of the lab.
        supervisor_pid: the process that owns all services.
        started_at: when everything was ready, UTC.
        env: the `env` value of all its signals.
        ports: port number by service name, see `supervisor.ports.FIXED`.
        token: what the lab's mutating endpoints ask for; database passwords derive from it.
    """

    lab_id: str
    root: Path
    supervisor_pid: int
    started_at: datetime
    env: str
    ports: Mapping[str, int]
    token: str

    @property
    def api_url(self) -> str:
        """Base URL of the Wordloom API, its /metrics included."""
        return self._url("api")

    @property
    def prometheus_url(self) -> str:
        """Base URL of the lab's Prometheus."""
        return self._url("prometheus")

    @property
    def jaeger_url(self) -> str:
        """Base URL of the Jaeger query API."""
        return self._url("jaeger")

    @property
    def elastic_url(self) -> str:
        """What the worker talks to: the fault proxy in front of the stand-in."""
        return self._url("elastic")

    @property
    def elastic_direct_url(self) -> str:
        """The Elasticsearch stand-in itself, past every fault."""
        return self._url("elastic_direct")

    @property
    def proxy_url(self) -> str:
        """Admin API of the fault proxy."""
        return self._url("proxy_admin")

    @property
    def dsn(self) -> str:
        """The owner's database address for psycopg; holds a password."""
        return database_url(self.ports["postgres"], role=OWNER_ROLE, token=self.token)

    @property
    def triage_dsn(self) -> str:
        """The same database for a role that may only SELECT; holds a password."""
        return database_url(self.ports["postgres"], role=READER_ROLE, token=self.token)

    @property
    def logs(self) -> Path:
        """Folder with one `<service>.log` for each service."""
        return self.root / "logs"

    def _url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"


def password(role: str, token: str) -> str:
    """Password of a database role: derived, so that only the token must be kept."""
    return hashlib.sha256(f"{role}:{token}".encode()).hexdigest()[:32]


def database_url(port: int, *, role: str, token: str, scheme: str = "postgresql") -> str:
    """Address of the lab's database for one role."""
    return f"{scheme}://{role}:{password(role, token)}@127.0.0.1:{port}/{DATABASE}"


def state_file(root: Path) -> Path:
    """Where the state of a ready lab is kept."""
    return root / "lab.json"


def write_state(state: LabState) -> None:
    """Put the state under its final name in one step, readable by its owner only."""
    record = asdict(state) | {
        "root": str(state.root),
        "started_at": state.started_at.isoformat(),
        "ports": dict(state.ports),
    }
    write_private(state_file(state.root), json.dumps(record, indent=2))


def read_state(root: Path) -> LabState:
    """The lab at a folder, alive or not (`is_alive` tells).

    Raises:
        UsageError: no lab became ready there.
        ContractBroken: the file there is not a lab's state.
    """
    file = state_file(root)
    try:
        record = json.loads(file.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"No lab is at {root}.", hint="Start one: loomtriage lab up.") from None
    except (OSError, ValueError):
        record = None
    try:
        return LabState(
            lab_id=record["lab_id"],
            root=root.absolute(),
            supervisor_pid=int(record["supervisor_pid"]),
            started_at=datetime.fromisoformat(record["started_at"]),
            env=record["env"],
            ports=MappingProxyType({name: int(port) for name, port in record["ports"].items()}),
            token=record["token"],
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ContractBroken(
            f"{file} is not the state of a lab.", hint="Run loomtriage lab down, then lab up."
        ) from None


def is_alive(state: LabState) -> bool:
    """Does the supervisor that wrote this state still hold the lab's lock?

    The lock ends with its holder however that died, so a reused process id cannot fool us.
    """
    return lock_holder(state.root) == state.supervisor_pid


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 that is the old one or the whole new one, after a crash as well."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # a name that is durable before its content is an empty file
    draft.replace(path)
