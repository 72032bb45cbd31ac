"""A loopback server that answers as badly as a test asks it to, over real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

Answer = Callable[[socket.socket, bytes], None]


class Wire:
    """Listens on a free loopback port; each connection gets the next answer, the last one stays."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            head, _, body = request.partition(b"\r\n\r\n")
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    while len(body) < int(line.split(b":")[1]):
                        body += connection.recv(65536)
            self.requests.append(head + b"\r\n\r\n" + body)
            answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
            answer(connection, self.requests[-1])
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def says(
    body: bytes, *, status: str = "200 OK", media: str = "application/json", more: str = ""
) -> Answer:
    """A whole answer."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    )
    return sends(head.encode() + body)


def sends(data: bytes) -> Answer:
    """Exactly these bytes, then the end."""
    return lambda connection, _: connection.sendall(data)


def hangs(connection: socket.socket, _: bytes) -> None:
    """Accepts and never says a word."""
    connection.recv(1)


def drips(head: bytes, data: bytes) -> Answer:
    """One byte every 50 ms, so that no idle timeout ever fires."""

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head)
        for place in range(len(data)):
            connection.sendall(data[place : place + 1])
            time.sleep(0.05)

    return answer


def floods(head: bytes, piece: bytes) -> Answer:
    """Never stops sending."""

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)

    return answer
