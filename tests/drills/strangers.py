"""Strangers: small servers on the ports of a lab that has no processes of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

from loomtriage.lab.state import LabState
from tests.drills.rehearsal import now


def hollow_lab(root: Path, **ports: int) -> LabState:
    """A lab whose supervisor is gone and whose ports belong to somebody else."""
    return LabState(
        lab_id="a1",
        root=root,
        supervisor_pid=1,
        started_at=now(),
        env="sandbox",
        ports=ports,
        token="t",
    )


@contextmanager
def port_that(answers: Callable[[int], bytes | None]) -> Iterator[int]:
    """A port whose n-th request, from 1, gets that body; None breaks off without an answer."""
    numbers = count(1)

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers(next(numbers))
            if body is not None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def __getattr__(self, name: str) -> object:
            if not name.startswith("do_"):
                raise AttributeError(name)
            return self.do_GET  # whatever the method

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()
