"""Runtime: whether a worker lives and may work, as its loop, its pings and /readyz see it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from loomtriage.errors import UsageError


class WorkerState(StrEnum):
    """Where a worker is in its life."""

    RUNNING = "RUNNING"
    DRAINING = "DRAINING"
    STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """An answer of /healthz or /readyz."""

    status: int
    body: dict[str, object]


class Runtime:
    """The shared state of one worker's threads.

    Args:
        max_silence_s: a loop silent for longer counts as dead.
        failures_before_draining: failed pings in a row after which nothing is claimed.
        ping_target: why what the worker writes to is unready, empty when it is ready or not asked.
    """

    def __init__(
        self,
        *,
        projection: str,
        worker_id: str,
        max_silence_s: float,
        failures_before_draining: int,
        ping_target: Callable[[], str],
    ) -> None:
        self.stop = threading.Event()
        self._facts = {"projection": projection, "worker_id": worker_id}
        self._max_silence_s = max_silence_s
        self._limit = failures_before_draining
        self._ping_target = ping_target
        self._guard = threading.Lock()
        self._beat_at = time.monotonic()
        self._failures = 0
        self._last_error = ""
        self._stop_reason = ""
        self._is_over = False

    def beat(self) -> None:
        """Say that the loop turned."""
        with self._guard:
            self._beat_at = time.monotonic()

    def pinged(self, error: str) -> None:
        """Take the outcome of a database ping, empty when it answered."""
        with self._guard:
            self._failures = self._failures + 1 if error else 0
            self._last_error = error

    def ask_to_stop(self, reason: str) -> None:
        """Let the worker finish what it is at and end; the first reason stays."""
        with self._guard:
            self._stop_reason = self._stop_reason or reason
        self.stop.set()

    def ended(self) -> None:
        """Say that the worker has ended."""
        with self._guard:
            self._is_over = True

    @property
    def state(self) -> WorkerState:
        """The state now; a database that answers again ends draining."""
        with self._guard:
            if self._is_over:
                return WorkerState.STOPPED
            is_draining = self.stop.is_set() or self._failures >= self._limit
            return WorkerState.DRAINING if is_draining else WorkerState.RUNNING

    def healthz(self) -> Health:
        """Does the process live: the loop turned not long ago."""
        silent_s = self._silent_s()
        reason = None
        if self.state is WorkerState.STOPPED:
            reason = "stopped"
        elif silent_s > self._max_silence_s:
            reason = f"loop_silence>{self._max_silence_s:g}s"
        return self._health(reason)

    def readyz(self) -> Health:
        """May it be given work: running, the database healthy, and its target where asked for."""
        reason: str | None = None
        if self.state is not WorkerState.RUNNING:
            reason = "draining"
        elif self._last_error:
            reason = "db_unhealthy"
        else:
            reason = self._ping_target() or None
        return self._health(reason)

    def _silent_s(self) -> float:
        with self._guard:
            return time.monotonic() - self._beat_at

    def _health(self, reason: str | None) -> Health:
        silent_s, state = self._silent_s(), self.state
        with self._guard:
            body: dict[str, object] = {
                "ok": reason is None,
                "reason": reason,
                **self._facts,
                "state": state.value,
                "stop_requested": self.stop.is_set(),
                "stop_reason": self._stop_reason or None,
                "last_loop_ago_seconds": round(silent_s, 3),
                "db": {
                    "ok": not self._last_error,
                    "consecutive_failures": self._failures,
                    "last_error": self._last_error or None,
                },
            }
        return Health(status=200 if reason is None else 503, body=body)


def serve_runtime(runtime: Runtime, port: int) -> ThreadingHTTPServer:
    """Answer /healthz and /readyz on the loopback from a thread of its own.

    Raises:
        UsageError: the port is taken.
    """
    answers = {"/healthz": runtime.healthz, "/readyz": runtime.readyz}

    class Answers(BaseHTTPRequestHandler):
        server_version, sys_version = "worker", ""

        def do_GET(self) -> None:
            answer = answers.get(self.path.partition("?")[0])
            health = answer() if answer else Health(status=404, body={"error": "no such path"})
            text = json.dumps(health.body).encode()
            self.send_response(health.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Health checks are no news."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Answers)
    except OSError as error:
        raise UsageError(
            f"Port {port} is taken.", hint="Set OUTBOX_HTTP_PORT to a free one."
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="runtime", daemon=True).start()
    return server


def every(
    interval_s: float,
    action: Callable[[], None],
    *,
    name: str,
    stop: threading.Event,
    on_trouble: Callable[[str, Exception], None],
) -> threading.Thread:
    """Run an action now and again every interval until `stop`, in a daemon thread.

    An exception is handed to `on_trouble` and never ends the thread.
    """

    def run() -> None:
        while True:
            try:
                action()
            except Exception as error:  # noqa: BLE001  upkeep outlives every failure
                on_trouble(name, error)
            if stop.wait(interval_s):
                return

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
