"""How a lab is brought up, and how it is taken down again."""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from loomtriage.errors import TriageError, UsageError
from loomtriage.lab.alive import started, wait_gone
from loomtriage.lab.lock import claim, lock_holder, sign, signer
from loomtriage.lab.patience import SILENCE_S, Patience, Say
from loomtriage.lab.servers import alertmanager
from loomtriage.lab.servers.accounts import must_reach
from loomtriage.lab.servers.alertmanager import find_alertmanager
from loomtriage.lab.servers.postgres import find_server, system_bin, wheel_bin
from loomtriage.lab.servers.prometheus import cache_dir, find_prometheus
from loomtriage.lab.services import ORDERS, last_lines, leftovers, services_file, status
from loomtriage.lab.state import LabState, read_state, state_file
from loomtriage.lab.supervisor import ports as lab_ports
from loomtriage.lab.supervisor.children import PLAIN
from loomtriage.lab.supervisor.folder import clear, end_leftovers, make_folder
from loomtriage.lab.supervisor.plan import Owner, Plan, Webhook, plan_file, write_plan

_START_S = 120.0
_STOP_S = 45.0
_RACES = 2
_AWAITED = frozenset({"waiting", "starting"})
_NO_ENV: Mapping[str, str] = MappingProxyType({})


def up(  # noqa: PLR0913 - each is one independent choice, named where it is made
    root: Path,
    *,
    ports: Literal["fixed", "auto"],
    say: Say,
    load_per_s: float = 0.0,
    owner_pid: int | None = None,
    worker_env: Mapping[str, str] = _NO_ENV,
    worker_cmd: Sequence[str] = (),
    owner_grace_s: float = 600.0,
    webhook: Webhook | None = None,
) -> LabState:
    """Start a lab as processes of their own and wait until it has its first samples.

    Every start is fresh: it wipes `<root>/data` and moves the logs of the lab before to
    `<root>/logs/previous`.

    Args:
        root: folder of the lab; made when absent, else empty or a lab's.
        ports: `fixed` well-known ones, or free ones (`auto`).
        say: hears about each step, and never nothing for more than 3 s.
        load_per_s: writes a second that the lab sends to its own API.
        owner_pid: process that the lab must not outlive; None lets it stay until `down`.
        worker_env: variables that override the worker's own.
        worker_cmd: somebody else's worker to run instead of ours, with Wordloom's variables and
            in the current folder.
        owner_grace_s: seconds between the owner's end and the lab's.
        webhook: who hears of alerts; an Alertmanager runs only then.

    Raises:
        Refused: a lab is up there, the folder is not a lab's, a port is taken, or a server
            program is missing; nothing was started.
        TriageError: a service did not come up; names it with its last lines; nothing runs on.
    """
    root = make_folder(root.absolute())
    lock = claim(root)
    try:
        end_leftovers(root, say)
        chosen = _ports(ports, webhook)
        wanted = replace(
            _draft(root, say),
            load_per_s=load_per_s,
            worker_env=dict(worker_env),
            worker_cmd=_resolved(worker_cmd),
            owner=Owner(pid=owner_pid, grace_s=owner_grace_s) if owner_pid else None,
            webhook=webhook,
            alertmanager=_alertmanager(say) if webhook else None,
        )
        for _ in range(_RACES if ports == "auto" else 0):
            try:
                return _start(replace(wanted, ports=chosen), lock=lock, say=say)
            except _Raced as raced:
                say(f"{raced.message} Choosing other ports")
                chosen = _ports(ports, webhook)
        return _start(replace(wanted, ports=chosen), lock=lock, say=say)
    finally:
        os.close(lock)


def down(root: Path, say: Say) -> None:
    """Take the lab at a folder down; says so when none is there. Its logs and data stay.

    Raises:
        TriageError: something did not end even when killed.
    """
    root = root.absolute()
    holder = lock_holder(root)
    if holder is None:
        if not leftovers(root):
            say(f"No lab is up at {root}.")
    else:
        say(f"Stopping the lab at {root} (supervisor process {holder})")
        _end_supervisor(holder, say)
    end_leftovers(root, say)
    for file in (state_file(root), services_file(root), plan_file(root), root / ORDERS):
        file.unlink(missing_ok=True)
    if holder is not None:
        say("The lab is down.")


class _Raced(TriageError):
    """A port was taken between our check and the service's bind."""


def _draft(root: Path, say: Say) -> Plan:
    """A plan with all programs found, still without ports."""
    from loomtriage.settings import settings

    home = settings().home_dir()
    server = find_server(home, wheel=wheel_bin(), system=system_bin())
    if server.account is not None:
        must_reach(root, server.account)
    return Plan(
        root=root,
        lab_id=secrets.token_hex(8),
        token=secrets.token_hex(16),
        ports={},
        server=server,
        prometheus=find_prometheus(settings().prometheus, home=home, say=say),
        load_per_s=0.0,
        worker_env={},
        worker_cmd=(),
        folder=Path.cwd(),
        owner=None,
    )


def _resolved(command: Sequence[str]) -> tuple[str, ...]:
    """A command whose program is found by the caller's PATH, which the lab does not keep."""
    if not command:
        return ()
    program = shutil.which(command[0])
    if program is None:
        raise UsageError(
            f"The worker command {command[0]} is not a program.",
            hint="Name one that is on PATH, or give its path.",
        )
    return (str(Path(program).absolute()), *command[1:])


def _alertmanager(say: Say) -> Path:
    from loomtriage.settings import settings

    return find_alertmanager(cache_dir(settings().home_dir()), say=say)


def _ports(mode: str, webhook: Webhook | None) -> Mapping[str, int]:
    known = lab_ports.choose(mode)
    chosen = {name: port for name, port in known.items() if webhook or name != alertmanager.PORT}
    lab_ports.refuse_taken(chosen)
    return chosen


def _start(plan: Plan, *, lock: int, say: Say) -> LabState:
    clear(plan.root)
    write_plan(plan)
    sign(lock, os.getpid())
    say("Starting the services")
    told, report = os.pipe()
    try:
        starter = _launch(plan.root, lock=lock, report=report)
    finally:
        os.close(report)
    try:
        with os.fdopen(told) as pipe:
            _listen(plan.root, pipe.fileno(), say)
    except BaseException:  # interrupted, too: what did not become ready must not stay
        starter.kill()
        starter.wait()
        if signer(lock) != os.getpid():
            _end_supervisor(signer(lock), say)
        end_leftovers(plan.root, say)
        raise
    starter.wait()
    return read_state(plan.root)


def _launch(root: Path, *, lock: int, report: int) -> subprocess.Popen[bytes]:
    """Start the supervisor; it forks away, so that nobody here has to wait for its end."""
    log = os.open(root / "logs" / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            (
                *(sys.executable, "-m", "loomtriage.lab.supervisor"),
                *("--root", str(root), "--lock-fd", str(lock), "--report-fd", str(report)),
            ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(PLAIN),
            cwd=root,
            start_new_session=True,
            pass_fds=(lock, report),
        )
    finally:
        os.close(log)


def _listen(root: Path, pipe: int, say: Say) -> None:
    """Hear the supervisor out until the lab is ready."""
    for facts in _facts(root, pipe, say):
        if "step" in facts:
            say(f"{facts['step']} is ready")
        elif "failed" in facts:
            error = _Raced if facts["raced"] else TriageError
            raise error(str(facts["failed"]), hint=str(facts["hint"]))
        else:
            return
    said = " | ".join(last_lines(root / "logs" / "supervisor.log", 3)) or "it logged nothing"
    raise TriageError(
        f"The lab's supervisor ended before the lab was ready: {said}",
        hint=f"See {root / 'logs'}.",
    )


def _facts(root: Path, pipe: int, say: Say) -> Iterator[Mapping[str, object]]:
    """The supervisor's reports, one JSON line each, until the pipe ends."""
    began, rest = time.monotonic(), b""
    while True:
        if not select.select([pipe], [], [], SILENCE_S)[0]:
            passed_s = time.monotonic() - began
            waiting = [service.name for service in status(root) if service.state in _AWAITED]
            names = ", ".join(waiting) or "the empty database"
            if passed_s > _START_S:
                raise TriageError(
                    f"The lab was not ready after {passed_s:.0f} s; it waited for {names}.",
                    hint=f"See {root / 'logs'}.",
                )
            say(f"  ... waiting for {names} ({passed_s:.0f} s)")
            continue
        chunk = os.read(pipe, 65_536)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _end_supervisor(pid: int, say: Say) -> None:
    """Ask a supervisor to end its lab, kill it when it does not: its services end with it."""
    mark, deadline, patience = started(pid), time.monotonic() + _STOP_S, Patience(say)
    if mark is None:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)  # paused, it would not hear the first
    while not wait_gone(pid, mark, wait_s=0.2):
        patience.still("waiting for its end")
        if time.monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
