"""The command that shows an alert's way: a fault, an alert, a webhook, the path, a report."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loomtriage.cli.options import Out, out_dir
from loomtriage.cli.terminal import say
from loomtriage.errors import Exit, SourceUnavailable

if TYPE_CHECKING:
    from loomtriage.lab import LabState

app = typer.Typer()

_HEALTH_S = 12.0
_LEASE_S = 30.0
_GIVE_UP_S = 75.0


@app.command("alert-demo")
def alert_demo(
    seconds: Annotated[float, typer.Option(help="How long the fault may stand.", min=1.0)] = (
        _GIVE_UP_S
    ),
    out: Out = "",
) -> None:
    """Take Elasticsearch away in a lab of its own and let the alert start the path.

    Example: loomtriage lab alert-demo
    """
    began = time.monotonic()

    def told(what: str) -> None:
        print(f"{time.monotonic() - began:5.1f} s  {what}", flush=True)

    with ExitStack() as held:
        runs = out_dir(out)
        before = _sealed(runs)
        lab = held.enter_context(_watched_lab(runs, told))
        time.sleep(_HEALTH_S)
        told("the lab has worked in health for a while")
        keep = held.enter_context(_elastic_gone(lab))
        told("Elasticsearch is gone")

        def fires() -> bool:
            return keep() and bool(_firing(lab))

        def is_told() -> bool:
            return keep() and bool(_sealed(runs) - before)

        _await(fires, within_s=seconds, what="alert")
        told(f"Prometheus fires: {', '.join(_firing(lab))}")
        _await(is_told, within_s=seconds, what="report")
        (run,) = list(_sealed(runs) - before)[:1]
        verdict = json.loads((run / "verdict.json").read_text(encoding="utf-8"))
        told(f"{verdict['state']}: {verdict['headline']}")
    told("the fault is taken back and the lab is down")
    print(f"cause     {verdict['cause']}")
    print(f"report    {run / 'report.html'}")
    raise typer.Exit(int(Exit.OK if verdict["cause"] == "es_down" else Exit.BAD))


@contextmanager
def _watched_lab(runs: Path, told: Callable[[str], None]) -> Iterator[LabState]:
    """A lab whose alerts reach a receiver, both of their own; gone at the end."""
    from loomtriage import lab as labs
    from loomtriage.lab.supervisor.plan import Webhook
    from loomtriage.settings import settings

    home = settings().home_dir()
    name = f"alert-{secrets.token_hex(3)}"
    room = home / f"watch-{name}"
    room.mkdir(mode=0o700)
    token = room / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(16), encoding="utf-8")
    port = _free_port()
    options = (
        *("--listen", f"127.0.0.1:{port}", "--token-file", str(token), "--source", f"lab:{name}"),
        *("--out", str(runs), "--inbox", str(room)),
    )
    root = home / "labs" / name
    receiver = subprocess.Popen(
        (sys.executable, "-m", "loomtriage.cli", "watch-alerts", *options),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        told(f"the receiver listens on 127.0.0.1:{port}")
        hook = Webhook(url=f"http://127.0.0.1:{port}/alerts", token_file=str(token))
        state = labs.up(
            root, ports="auto", say=say, load_per_s=5.0, owner_pid=os.getpid(), webhook=hook
        )
        told("the lab is up, with Alertmanager")
        yield state
    finally:
        receiver.terminate()
        receiver.wait(30)
        labs.down(root, say=say)
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(room, ignore_errors=True)


@contextmanager
def _elastic_gone(lab: LabState) -> Iterator[Callable[[], bool]]:
    """Take Elasticsearch away; what is yielded prolongs that."""
    from loomtriage.drills.faults.http import HttpRefuse

    fault = HttpRefuse(lease_s=_LEASE_S).bind(lab, fault_id=secrets.token_hex(8))
    undo = fault.apply()
    try:
        yield fault.renew
    finally:
        fault.revert(undo)


def _firing(lab: LabState) -> tuple[str, ...]:
    from loomtriage.drills.loopback import ask_json
    from loomtriage.report import loose

    data = loose.mapping(ask_json(f"{lab.prometheus_url}/api/v1/alerts").get("data"))
    firing = [one for one in loose.maps(data.get("alerts")) if one.get("state") == "firing"]
    return tuple(sorted({loose.word(loose.mapping(one["labels"]), "alertname") for one in firing}))


def _sealed(runs: Path) -> set[Path]:
    # A run that is still being written stands under a hidden name.
    return {path.parent for path in runs.glob("[!.]*/verdict.json")}


def _await(holds: Callable[[], bool], *, within_s: float, what: str) -> None:
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            raise SourceUnavailable(
                f"There was no {what} within {within_s:g} s.",
                hint="Give it more: --seconds 150.",
            )
        time.sleep(0.5)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
