"""One service from its start to its end, as its supervisor sees it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from loomtriage.errors import TriageError
from loomtriage.lab.alive import started
from loomtriage.lab.services import ServiceStatus, last_lines
from loomtriage.lab.supervisor import ports
from loomtriage.lab.supervisor.children import Child
from loomtriage.lab.supervisor.processes import Guard, end, spawn

DECLARED: Mapping[str, str] = MappingProxyType({})
"""No variable differs from what the service's entry in the table says."""
ENDING_S = 1.0
"""How long the last threads of a process that has ended are waited for."""


class StartFailed(TriageError):
    """A service did not come up.

    Attributes:
        is_raced: a stranger took one of its ports between the check and the bind.
    """

    def __init__(self, message: str, *, log: Path, is_raced: bool = False) -> None:
        super().__init__(message, hint=f"See {log}.")
        self.is_raced = is_raced


class Service:
    """A child, its process and what became of it.

    Args:
        child: what to run.
        folder: the lab's folder; the log goes below it.
        guard: hears of every process.
    """

    def __init__(self, child: Child, *, folder: Path, guard: Guard) -> None:
        self.child = child
        self.state = "off" if child.is_spare else "waiting"
        self.overrides = DECLARED
        self._says = "not started yet"
        self._folder = folder
        self._log = folder / "logs" / f"{child.name}.log"
        self._guard = guard
        self._process: subprocess.Popen[bytes] | None = None
        self._is_furnished = False

    @property
    def pid(self) -> int | None:
        """Its process, which leads the group of all that it started; None before the first."""
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        """Whether its process is there, paused or not, as far as was noticed."""
        return self.state in {"starting", "ready"}

    def status(self) -> ServiceStatus:
        """How the service is."""
        return ServiceStatus(
            name=self.child.name,
            port=self.child.ports[0] if self.child.ports else None,
            pid=self.pid,
            state=self.state,
            says=self._says,
        )

    def start(self, overrides: Mapping[str, str] = DECLARED) -> None:
        """Start the process.

        Args:
            overrides: variables that differ from the declared ones, until the next start.

        Raises:
            StartFailed: there is no such program, or it may not be run.
        """
        self.overrides = dict(overrides)
        child = replace(self.child, env={**self.child.env, **overrides})
        try:
            self._process = spawn(child, log=self._log, folder=self._folder)
        except (OSError, subprocess.SubprocessError) as error:
            message = f"{self.child.name} cannot be started: {error}."
            raise StartFailed(message, log=self._log) from error
        self._guard.add(self._process.pid, self.child.stop_signal)
        self.state, self._says = "starting", "does not answer yet"

    def became_ready(self) -> bool:
        """Did it begin to answer? Then it is furnished, too.

        Raises:
            StartFailed: it ended instead.
            TriageError: it could not be furnished.
        """
        self.must_live()
        if self._process is None or not self.child.ready():
            return False
        # The answer must be its own, not that of a stranger who was faster to take the port.
        if any(
            ports.belongs(port, session=self._process.pid) is False for port in self.child.ports[:1]
        ):
            self.must_live()
            return False
        if not self._is_furnished:
            self.child.furnish()
            self._is_furnished = True
        self.state, self._says = "ready", f"since {datetime.now(UTC):%H:%M:%S} UTC"
        return True

    def must_live(self) -> None:
        """Raise StartFailed with the service's last words when its process has ended."""
        if not self.died():
            return
        for port in self.child.ports:
            owner = ports.owner_of(port)
            if owner is not None:
                message = f"{self.child.name} lost port {port} to {owner} during the start."
                raise StartFailed(message, log=self._log, is_raced=True)
        said = " | ".join(last_lines(self._log, 4)) or "it logged nothing"
        message = f"{self.child.name} ended during the start ({self._says}): {said}"
        raise StartFailed(message, log=self._log)

    def died(self) -> bool:
        """Has the process ended since the last question? Then the service is dead."""
        if self._process is None or not self.is_running:
            return False
        code = self._process.poll()
        if code is None and started(self._process.pid) is None:
            # Its first thread has ended, the others are about to; it can be waited for only then.
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(ENDING_S)
        if code is None:
            return False
        with suppress(OSError):  # what it started itself must not outlive it
            os.killpg(self._process.pid, signal.SIGKILL)
        self._guard.remove(self._process.pid)
        self.state = "dead"
        self._says = f"{_ending(code)} at {datetime.now(UTC):%H:%M:%S} UTC"
        return True

    def end(self) -> None:
        """End the process, if there is one, and wait for its end."""
        if self._process is None or not self.is_running:
            return
        end(self._process, self.child.stop_signal)
        self._guard.remove(self._process.pid)
        self.state, self._says = "stopped", _ending(self._process.returncode)

    def wake(self) -> None:
        """Let it run on when somebody paused it."""
        if self._process is not None and self.is_running:
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGCONT)


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"ended by {signal.Signals(-code).name}"
    return f"ended by signal {-code}"
