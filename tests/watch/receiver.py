"""A receiver with a stand-in for the path, and alerts to post to it."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Self

from loomtriage.watch.gate import Gate
from loomtriage.watch.inbox import Inbox
from loomtriage.watch.receive import application, listening, server_for
from loomtriage.watch.serve import FILE
from loomtriage.watch.work import Order, Workers

TOKEN = "correct-horse-battery-staple"
GROUP = '{}:{alertname="OutboxRetriesRising"}'
# Notes that it ran, takes its time or until somebody lets it go, and ends like the path does.
STUB = """
import json, os, sys, time
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
room = os.path.dirname(__file__)
until = time.monotonic() + float(open(os.path.join(room, "slow.txt")).read())
def let_go():
    for name in os.listdir(room):
        if name.endswith(".go"):
            try:
                os.unlink(os.path.join(room, name))
                return True
            except FileNotFoundError:
                pass  # another run took it
with open(os.path.join(room, "pid.new"), "w") as pid:
    pid.write(str(os.getpid()))
os.replace(os.path.join(room, "pid.new"), os.path.join(room, "pid.txt"))
with open(os.path.join(room, "ran.log"), "a") as log:
    log.write("begun " + given["--alert"] + "\\n")
while time.monotonic() < until and not let_go():
    time.sleep(0.02)
with open(os.path.join(room, "ran.log"), "a") as log:
    log.write("ended " + given["--alert"] + "\\n")
print(json.dumps({"folder": "run-of-" + os.path.basename(os.path.dirname(given["--alert"]))}))
"""


def payload(*fingerprints: str, status: str = "firing", group: str = GROUP, **labels: str) -> dict:
    """What Alertmanager posts for a group of alerts."""
    alerts = [
        {
            "status": status,
            "labels": {"alertname": "OutboxRetriesRising", **labels},
            "annotations": {"summary": "Retries are rising."},
            "startsAt": "2026-02-14T14:21:30.000Z",
            "endsAt": "2026-02-14T14:40:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.invalid/graph",
            "fingerprint": fingerprint,
        }
        for fingerprint in fingerprints or ("c8a1f6b2d3e4f501",)
    ]
    return {
        "version": "4",
        "groupKey": group,
        "status": status,
        "receiver": "loomtriage",
        "truncatedAlerts": 0,
        "groupLabels": {"alertname": "OutboxRetriesRising"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.invalid",
        "alerts": alerts,
    }


def stub(folder: Path, *, slow_s: float = 0.0) -> tuple[str, ...]:
    """A command that stands in for `loomtriage path`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "path.py").write_text(STUB, encoding="utf-8")
    (folder / "slow.txt").write_text(str(slow_s), encoding="utf-8")
    return (sys.executable, "-S", str(folder / "path.py"))


def let_go(folder: Path, runs: int = 1) -> None:
    """Let so many runs of the stand-in end before their time, each of them once."""
    for _ in range(runs):
        (folder / f"{secrets.token_hex(8)}.go").touch()


def told(folder: Path, word: str = "ended") -> list[str]:
    """Payload files for which the stand-in began or ended."""
    log = folder / "ran.log"
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    return [line.removeprefix(f"{word} ") for line in lines if line.startswith(word)]


def order(folder: Path, *, slow_s: float = 0.0, deadline_s: float = 20.0) -> Order:
    """Runs of the stand-in, everything below one folder."""
    return Order(
        command=stub(folder / "stub", slow_s=slow_s),
        source="example:es_429",
        out=folder / "runs",
        room=folder / "room",
        deadline_s=deadline_s,
        retry_s=0.0,
    )


class Receiver:
    """One receiver in this process, on a free port."""

    def __init__(self, given: Order, *, capacity: int = 50, settle_s: float = 0.0) -> None:
        self.order, self.said = given, []
        self.inbox = Inbox(given.room / FILE, capacity=capacity, settle_s=settle_s)
        self.workers = Workers(self.inbox, given, say=self.said.append)
        app = application(
            Gate(token=TOKEN),
            self.inbox,
            wake=self.workers.wake,
            is_working=self.workers.are_alive,
        )
        self._sock = listening("127.0.0.1:0")
        self.port = self._sock.getsockname()[1]
        self._server = server_for(app)
        self._thread = threading.Thread(target=self._server.run, args=([self._sock],), daemon=True)

    def __enter__(self) -> Self:
        self.workers.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self.workers.stop()

    def settled(self, *, within_s: float = 60.0) -> dict[str, int]:
        """Jobs by state once none waits or runs."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            counts = dict(self.inbox.counts())
            if not counts["queued"] + counts["running"]:
                return counts
            time.sleep(0.05)
        raise AssertionError(counts)


def post(port: int, content: object, **headers: str) -> tuple[int, dict, dict]:
    """Status, body and headers of one post; a header given as empty text is left out."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/alerts", body, {k: v for k, v in sent.items() if v})
        answer = connection.getresponse()
        text = answer.read()
        told_back = json.loads(text) if text.startswith(b"{") else {}
        return answer.status, told_back, dict(answer.getheaders())
    finally:
        connection.close()


def raw(port: int, first: bytes, *, within_s: float = 30.0) -> socket.socket:
    """A connection on which some bytes were sent."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=within_s)
    sock.sendall(first)
    return sock
