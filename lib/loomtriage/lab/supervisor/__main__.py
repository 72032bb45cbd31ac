"""The one process that owns a lab: starts its services, watches them, ends them.

Single-threaded. Started by `launch.up` as `python -m loomtriage.lab.supervisor`, never by hand.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from loomtriage.errors import TriageError
from loomtriage.lab.alive import is_same, started
from loomtriage.lab.lock import sign
from loomtriage.lab.servers import alertmanager, postgres, prometheus
from loomtriage.lab.state import ENV, LabState, state_file, write_private, write_state
from loomtriage.lab.supervisor.children import children
from loomtriage.lab.supervisor.fleet import Fleet
from loomtriage.lab.supervisor.lifetime import StartFailed
from loomtriage.lab.supervisor.orders import OrderDesk, listen
from loomtriage.lab.supervisor.plan import Plan, take_plan
from loomtriage.lab.supervisor.processes import Guard

START_S = 90.0
"""How long all services may take together; a busy machine needs 15 s."""

_POLL_S = 0.05
_WATCH_S = 1.0
_log = logging.getLogger(__name__)


class StopRequested(Exception):
    """Somebody asked the supervisor to end, or nobody waits for the lab any more."""


class Supervisor:
    """Carries out one plan.

    Args:
        plan: what to start.
        report_fd: open pipe to the process that waits for the lab.
        wake: readable when a POSIX signal arrived.
    """

    def __init__(self, plan: Plan, *, report_fd: int, wake: socket.socket) -> None:
        self._plan = plan
        self._report_fd = report_fd
        self._wake = wake
        self._stop = False
        self._logs = plan.root / "logs"

    def request_stop(self) -> None:
        """Make the supervisor end at its next turn."""
        self._stop = True

    def run(self) -> int:
        """Start everything, watch until asked to stop, end everything; the exit code."""
        with Guard(self._logs / "supervisor.log") as guard, listen(self._plan.root) as listener:
            fleet = Fleet(self._plan, children=children(self._plan), guard=guard)
            try:
                self._start(fleet)
                self._watch(fleet, listener)
            except StopRequested:
                _log.info("stopping")
            except TriageError as failure:
                _log.error("%s", failure)
                fleet.end_all()
                is_raced = isinstance(failure, StartFailed) and failure.is_raced
                self._report(failed=failure.message, hint=failure.hint, raced=is_raced)
                return 1
            fleet.end_all()
            state_file(self._plan.root).unlink(missing_ok=True)
            return 0

    def _start(self, fleet: Fleet) -> None:
        began = time.monotonic()
        self._prepare()
        while waiting := fleet.advance(lambda name: self._report(step=name)):
            self._turn(_POLL_S)
            if not self._is_awaited():
                raise StopRequested
            if time.monotonic() - began > START_S:
                message = f"Not ready within {START_S:.0f} s: {', '.join(waiting)}."
                raise StartFailed(message, log=self._logs)
        state = LabState(
            lab_id=self._plan.lab_id,
            root=self._plan.root,
            supervisor_pid=os.getpid(),
            started_at=datetime.now(UTC),
            env=ENV,
            ports=self._plan.ports,
            token=self._plan.token,
        )
        write_state(state)
        self._report(ready=True)
        os.close(self._report_fd)
        self._report_fd = -1
        _log.info("ready")

    def _prepare(self) -> None:
        """What must be on disk before the first service starts."""
        plan = self._plan
        (plan.root / "prometheus.yml").write_text(prometheus.configuration(plan.ports))
        (plan.root / prometheus.RULES).write_text(prometheus.rules())
        if plan.webhook:
            text = alertmanager.configuration(plan.webhook.url, token_file=plan.webhook.token_file)
            write_private(plan.root / alertmanager.CONFIG, text)
        (plan.root / prometheus.TARGETS).mkdir(mode=0o700, exist_ok=True)
        for name in ("prometheus", "otlp"):
            (plan.data / name).mkdir()
        postgres.make_cluster(plan.server, data=plan.data / "postgres", token=plan.token)

    def _watch(self, fleet: Fleet, listener: socket.socket) -> None:
        owner = self._plan.owner
        mark = started(owner.pid) if owner else None
        alive_at = time.monotonic()
        desk = OrderDesk(listener=listener, fleet=fleet)
        while True:
            self._turn(_POLL_S if fleet.is_starting else _WATCH_S, listener)
            desk.answer_all()
            fleet.watch()
            if owner is None:
                continue
            if is_same(owner.pid, mark):
                alive_at = time.monotonic()
            elif time.monotonic() - alive_at >= owner.grace_s:
                _log.info("process %d, for which this lab runs, is gone", owner.pid)
                return

    def _turn(self, wait_s: float, *also: socket.socket) -> None:
        """Sleep until something happens."""
        if not self._stop and self._wake in select.select([self._wake, *also], [], [], wait_s)[0]:
            self._wake.recv(4096)
        if self._stop:
            raise StopRequested

    def _is_awaited(self) -> bool:
        """Does the process that started us still listen?"""
        poll = select.poll()
        poll.register(self._report_fd, 0)  # errors are always reported
        return not poll.poll(0)

    def _report(self, **facts: object) -> None:
        if self._report_fd >= 0:
            with suppress(BrokenPipeError):
                os.write(self._report_fd, (json.dumps(facts) + "\n").encode())


def _hear(supervisor: Supervisor, wake: socket.socket) -> None:
    """Let SIGTERM, SIGINT and SIGHUP stop the supervisor; let these and SIGCHLD wake it."""

    def ask_to_stop(_number: int, _frame: object) -> None:
        supervisor.request_stop()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ask_to_stop)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)


def _detach(lock_fd: int) -> None:
    """Leave the process that started us, so that nobody has to wait for our end."""
    pid = os.fork()
    if pid:
        sign(lock_fd, pid)
        os._exit(0)
    os.set_inheritable(lock_fd, False)  # noqa: FBT003 - the system's own signature


def main() -> int:
    """Read the plan that `up` left and carry it out."""
    parser = argparse.ArgumentParser(description="Supervisor of one lab; started by `lab up`.")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--lock-fd", type=int, required=True)
    parser.add_argument("--report-fd", type=int, required=True)
    options = parser.parse_args()
    _detach(options.lock_fd)
    os.set_inheritable(options.report_fd, False)  # noqa: FBT003 - as above
    os.umask(0o077)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    read, write = socket.socketpair()
    for end_of_pair in (read, write):
        end_of_pair.settimeout(0)
    supervisor = Supervisor(take_plan(options.root), report_fd=options.report_fd, wake=read)
    _hear(supervisor, write)
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
