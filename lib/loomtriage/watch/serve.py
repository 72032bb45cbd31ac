"""Serve: what does the receiver of alerts consist of, and how does it start and end?"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loomtriage.errors import Refused
from loomtriage.watch.gate import Gate
from loomtriage.watch.inbox import Inbox
from loomtriage.watch.receive import PATH, application, server_for
from loomtriage.watch.work import Order, Workers

FILE = "inbox.sqlite3"


def serve(
    order: Order, gate: Gate, sock: socket.socket, *, inbox: Inbox, say: Callable[[str], None]
) -> None:
    """Receive alerts on the socket and triage them until SIGTERM or SIGINT.

    Raises:
        Refused: another receiver works on the same inbox.
    """
    with _alone(order.room):
        workers = Workers(inbox, order, say=say)
        workers.start()
        host, port = sock.getsockname()[:2]
        say(f"alerts are taken at http://{host}:{port}{PATH}")
        try:
            app = application(gate, inbox, wake=workers.wake, is_working=workers.are_alive)
            server_for(app).run(sockets=[sock])
        finally:
            workers.stop()


@contextmanager
def _alone(room: Path) -> Iterator[None]:
    """Two receivers on one inbox would both give back each other's runs."""
    descriptor = os.open(room / "receiver.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Refused(
            f"Another receiver works in {room.name}.", hint="Stop it, or give another --inbox."
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)
