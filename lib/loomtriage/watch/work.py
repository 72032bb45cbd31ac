"""Work: who makes the runs, how long may one take, and what if the receiver died meanwhile?

Each run is a process of its own with a wall-clock deadline. It inherits a locked file: as long
as it lives, whoever started it, nobody starts the same run again.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from loomtriage.errors import Exit, TriageError
from loomtriage.settings import settings
from loomtriage.watch.gate import TOKEN_ENV
from loomtriage.watch.inbox import MAX_TRIES, Inbox, Job, JobState, Kind

Say = Callable[[str], None]
IDLE_S = 0.5
GRACE_S = 10.0
NICE = 10
"""Runs give way to the receiver: whoever posts an alert must not wait for a processor."""
TROUBLE_S = 5.0
"""How long a worker waits when the inbox does not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How runs are made.

    Attributes:
        command: what runs the path, without its options.
        source: source spec, chosen by whoever started the receiver.
        out: folder that receives run folders.
        room: private folder for what belongs to a case.
        deadline_s: wall-clock bound of one run.
        at_once: runs at the same time.
        retry_s: after its n-th failed try a run waits 2^n times that long.
    """

    command: tuple[str, ...]
    source: str
    out: Path
    room: Path
    deadline_s: float = 300.0
    at_once: int = 2
    retry_s: float = 30.0


class Workers:
    """A few threads that take jobs from the inbox until they are stopped."""

    def __init__(self, inbox: Inbox, order: Order, *, say: Say) -> None:
        self._inbox, self._order, self._speak = inbox, order, say
        self._wake, self._stop = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, name=f"work-{n}", daemon=True)
            for n in range(order.at_once)
        ]

    def start(self) -> None:
        """Give back what a killed receiver left running, then begin."""
        for job in self._inbox.interrupted():
            self._say(f"case {job.case} {job.kind}: was running when the receiver ended")
            self._inbox.end(job, state=JobState.QUEUED)
        for thread in self._threads:
            thread.start()

    def are_alive(self) -> bool:
        """Whether every worker still takes jobs."""
        return all(thread.is_alive() for thread in self._threads)

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def stop(self) -> None:
        """Take no more jobs; runs under way end with their process, and are taken up again."""
        self._stop.set()
        self._wake.set()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                job = self._inbox.take()
            except Exception as error:  # noqa: BLE001  (a thread that ends leaves alerts lying)
                self._in_trouble(error)
                continue
            if job is None:
                self._wake.wait(IDLE_S)
                self._wake.clear()
                continue
            try:
                state, run, says = self._run(job)
            except Exception as error:  # noqa: BLE001  (one bad job must not end the thread)
                state, run, says = _again(job, f"{type(error).__name__}: {error}")
            self._end(job, state, run=run, says=says)

    def _end(self, job: Job, state: JobState, *, run: str, says: str) -> None:
        """Write down how a job ended, as often as it takes: its run is not to be made twice."""
        after_s = self._order.retry_s * 2.0**job.tries if state is JobState.QUEUED else 0.0
        while True:
            try:
                self._inbox.end(job, state=state, run=run, says=says, after_s=after_s)
            except Exception as error:  # noqa: BLE001  (as above)
                self._in_trouble(error)
                if self._stop.is_set():
                    return  # still marked as running, it is given back at the next start
            else:
                break
        self._say(f"case {job.case} {job.kind}: {state}{f' {run}' if run else ''} {says}".strip())

    def _in_trouble(self, error: Exception) -> None:
        self._say(
            f"the inbox does not work ({type(error).__name__}: {error}); "
            f"tried again in {TROUBLE_S:.0f} s"
        )
        self._stop.wait(TROUBLE_S)

    def _say(self, line: str) -> None:
        # Nobody may listen any more; the work goes on.
        with suppress(OSError, ValueError):
            self._speak(line)

    def _run(self, job: Job) -> tuple[JobState, str, str]:
        folder = self._order.room / "cases" / job.case
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(folder / f"{job.kind}.lock", patience_s=self._order.deadline_s) as lock:
            if lock < 0:
                return _again(job, "an earlier run of it does not end")
            run = _ran(folder / f"{job.kind}.out")
            if not run:
                ended = self._start(job, folder, lock)
                run = _ran(folder / f"{job.kind}.out")
                if not run:
                    return _without_run(job, ended)
        if job.kind is Kind.CLOSING:
            return JobState.DONE, run, self._close(job, folder, run)
        return JobState.DONE, run, ""

    def _start(self, job: Job, folder: Path, lock: int) -> int | None:
        """Run the path once; its exit code, None when it was stopped at the deadline."""
        payload = folder / f"{job.kind}.json"
        with _private(payload) as file:
            file.write(job.payload)
        command = [*self._order.command, "--alert", str(payload), "--source", self._order.source]
        command += ["--out", str(self._order.out), "--incident", "--json"]
        with (
            _private(folder / f"{job.kind}.out") as out,
            _private(folder / f"{job.kind}.log") as log,
        ):
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env=_environment(),
                pass_fds=(lock,),
                start_new_session=True,
            )
            # Not by preexec_fn, which is unsafe beside threads; what it starts later inherits it.
            os.setpriority(os.PRIO_PROCESS, process.pid, min(os.nice(0) + NICE, 19))
            try:
                return process.wait(self._order.deadline_s)
            except subprocess.TimeoutExpired:
                _end_group(process)
                return None

    def _close(self, job: Job, folder: Path, run: str) -> str:
        """Write the closing report; a sentence when it cannot be."""
        # Only now: a receiver that waits for months needs no data frames.
        from loomtriage.runner.diff import diff
        from loomtriage.watch.closing import closing_report

        try:
            found = diff(self._order.out / job.before, self._order.out / run)
        except TriageError as error:
            return f"no closing report: {error.message}"
        report = closing_report(found)
        for name, text in (
            ("closing.md", report),
            ("closing.json", json.dumps(found.as_json(), indent=1) + "\n"),
        ):
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o600)
        return found.says


def _without_run(job: Job, ended: int | None) -> tuple[JobState, str, str]:
    if ended is None:
        return _again(job, "stopped at the deadline")
    if ended in (Exit.USAGE, Exit.REFUSED):
        return JobState.FAILED, "", f"ended with exit code {ended} and no run"
    return _again(job, f"exit code {ended} and no run")


def _again(job: Job, says: str) -> tuple[JobState, str, str]:
    """What went wrong may pass: the job is queued once more, until it was tried often enough."""
    state = JobState.FAILED if job.tries >= MAX_TRIES else JobState.QUEUED
    return state, "", f"{says}, try {job.tries} of {MAX_TRIES}"


@contextmanager
def _locked(path: Path, *, patience_s: float) -> Iterator[int]:
    """The file locked for us and our child, as a descriptor; -1 when it stays somebody else's."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    until = time.monotonic() + patience_s
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    yield -1
                    return
                time.sleep(IDLE_S)
            else:
                yield descriptor
                return
    finally:
        os.close(descriptor)


def _private(path: Path) -> BinaryIO:
    """The file, empty, for this user's eyes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _ran(out: Path) -> str:
    """Id of the run that a finished command printed, empty when it did not come so far."""
    try:
        folder = dict(json.loads(out.read_bytes())).get("folder")
    except (OSError, ValueError, TypeError):
        return ""
    name = folder if isinstance(folder, str) else ""
    return name if name and Path(name).name == name else ""


def _environment() -> Mapping[str, str]:
    """Ours, without the gate's secret, and without the role that may write: a run only reads."""
    given = settings()
    held_back = {TOKEN_ENV, given.replay_database_env} - {given.database_env}
    return {name: value for name, value in os.environ.items() if name not in held_back}


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
            return
