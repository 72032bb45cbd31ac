"""How a service's process is tied to its supervisor, watched and ended."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from loomtriage.lab.supervisor import guard
from loomtriage.lab.supervisor.children import Child

STOP_S = 5.0
"""How long a service may take to end before it is killed."""

_PR_SET_PDEATHSIG = 1


class Guard:
    """The pipe to the process that ends all services when this one is gone."""

    def __init__(self, log: Path) -> None:
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                # -I -S: it needs nothing but the standard library, and starts in 15 ms.
                (sys.executable, "-I", "-S", str(Path(guard.__file__))),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                env={"PATH": "/usr/bin:/bin"},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        self._process.wait()

    def add(self, pid: int, stop: signal.Signals) -> None:
        """List a group of processes that is to end with us."""
        self._tell(f"+ {pid} {stop.value}\n")

    def remove(self, pid: int) -> None:
        """Take an ended group off the list, before its number is used again."""
        self._tell(f"- {pid}\n")

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # somebody killed the guard; the kernel's way remains
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()


def spawn(child: Child, *, log: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start a service in a session of its own that ends when this process does.

    Must be called from the main thread: the kernel ties a child to the thread that made it.
    """
    account = child.account
    with log.open("ab") as out:
        return subprocess.Popen(
            child.argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(child.env),
            cwd=child.folder or folder,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=() if account else None,
            # Runs after the change of user, which would clear the tie. This process has one
            # thread, which makes the call safe.
            preexec_fn=_tie(child.stop_signal),  # noqa: PLW1509
        )


def end(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    """Ask a service to end, paused or not; kill it and its group when it does not in time."""
    with suppress(OSError):
        os.killpg(process.pid, stop)
        os.killpg(process.pid, signal.SIGCONT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tie(stop: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    # Our own services keep nothing that outlives the lab: they need no time to end.
    number = signal.SIGKILL if stop == signal.SIGTERM else stop
    return partial(_ask_kernel, ctypes.CDLL(None, use_errno=True), number.value, os.getpid())


def _ask_kernel(libc: ctypes.CDLL, number: int, parent: int) -> None:
    libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the tie was made
        os._exit(1)
