"""What `up` decided about a lab and its supervisor carries out, and how it passes between them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loomtriage.lab.servers.accounts import Account
from loomtriage.lab.servers.postgres import Server
from loomtriage.lab.state import write_private


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process that the lab must not outlive for long.

    Attributes:
        pid: its process id.
        grace_s: seconds between its end and the lab's.
    """

    pid: int
    grace_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Who hears of the lab's alerts.

    Attributes:
        url: where Alertmanager posts them.
        token_file: file with the bearer token that it shows, empty for none.
    """

    url: str
    token_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a supervisor needs to know.

    Attributes:
        root: folder of the lab.
        lab_id: random hex of this lab.
        token: secret of its mutating endpoints.
        ports: port by service name.
        server: the PostgreSQL programs.
        prometheus: the Prometheus program.
        load_per_s: writes a second that the load service sends, 0 for no load service.
        worker_env: variables that override the worker's.
        worker_cmd: command that runs in place of our worker, empty for ours.
        folder: where that command runs.
        owner: process whose end takes the lab down, None for a lab that stays.
        webhook: who hears of alerts, None for nobody.
        alertmanager: the Alertmanager program, None for none.
    """

    root: Path
    lab_id: str
    token: str
    ports: Mapping[str, int]
    server: Server
    prometheus: Path
    load_per_s: float
    worker_env: Mapping[str, str]
    worker_cmd: tuple[str, ...]
    folder: Path
    owner: Owner | None
    webhook: Webhook | None = None
    alertmanager: Path | None = None

    @property
    def data(self) -> Path:
        """Folder of everything that a new start wipes."""
        return self.root / "data"


def plan_file(root: Path) -> Path:
    """Where a plan waits for its supervisor; it holds the token and is gone once read."""
    return root / "plan.json"


def write_plan(plan: Plan) -> None:
    """Leave a plan for the supervisor."""
    account, owner, webhook = plan.server.account, plan.owner, plan.webhook
    record = {
        "lab_id": plan.lab_id,
        "token": plan.token,
        "ports": dict(plan.ports),
        "bin": str(plan.server.bin),
        "account": [account.uid, account.gid] if account else None,
        "prometheus": str(plan.prometheus),
        "load_per_s": plan.load_per_s,
        "worker_env": dict(plan.worker_env),
        "worker_cmd": list(plan.worker_cmd),
        "folder": str(plan.folder),
        "owner": [owner.pid, owner.grace_s] if owner else None,
        "webhook": [webhook.url, webhook.token_file] if webhook else None,
        "alertmanager": str(plan.alertmanager) if plan.alertmanager else None,
    }
    write_private(plan_file(plan.root), json.dumps(record))


def take_plan(root: Path) -> Plan:
    """Read the plan that `up` left, and remove it."""
    file = plan_file(root)
    record = json.loads(file.read_text())
    file.unlink()
    account, owner, webhook = record["account"], record["owner"], record["webhook"]
    alertmanager = record["alertmanager"]
    return Plan(
        root=root,
        lab_id=record["lab_id"],
        token=record["token"],
        ports=record["ports"],
        server=Server(
            bin=Path(record["bin"]),
            account=Account(uid=account[0], gid=account[1]) if account else None,
        ),
        prometheus=Path(record["prometheus"]),
        load_per_s=record["load_per_s"],
        worker_env=record["worker_env"],
        worker_cmd=tuple(record["worker_cmd"]),
        folder=Path(record["folder"]),
        owner=Owner(pid=owner[0], grace_s=owner[1]) if owner else None,
        webhook=Webhook(url=webhook[0], token_file=webhook[1]) if webhook else None,
        alertmanager=Path(alertmanager) if alertmanager else None,
    )
