"""Proxy port: how one port listens, truly refuses, and surely listens again.

To refuse as a machine without the service does, nothing may listen; yet nobody else may get the
port meanwhile. So a second socket stays bound to the port all the time and never listens: on Linux
two sockets may share an address with SO_REUSEADDR as long as the second is bound before the first
listens. There is no moment at which the port is free.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable

from loomtriage.lab.serving import LOOPBACK, port_taken

_BACKLOG = 256
_PROBE_S = 1.0


class Port:
    """One loopback port, listening or refusing; `on_connect` gets each accepted socket."""

    def __init__(self, number: int, on_connect: Callable[[socket.socket], None]) -> None:
        """Take the port and listen.

        Raises:
            UsageError: the port is taken.
        """
        self.number = number
        self._on_connect = on_connect
        self._listener: socket.socket | None = None
        try:
            self._anchor = self._bound()
            self.listen()
        except OSError as error:
            raise port_taken(number) from error

    @property
    def listening(self) -> bool:
        """Whether connects are accepted."""
        return self._listener is not None

    def listen(self) -> None:
        """Accept connects from now on.

        Raises:
            OSError: the port could not be regained; the next call tries again.
        """
        if self._listener is not None:
            return
        self._share(self._anchor, shared=True)
        listener = self._bound()
        try:
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept)

    def refuse(self) -> None:
        """Let the kernel refuse connects from now on; those not yet accepted are reset."""
        if self._listener is None:
            return
        asyncio.get_running_loop().remove_reader(self._listener)
        # Nobody else may join the anchor while it stands alone.
        self._share(self._anchor, shared=False)
        self._listener.close()
        self._listener = None

    def close(self) -> None:
        """Give the port back."""
        self.refuse()
        self._anchor.close()

    async def is_refused(self) -> bool:
        """Whether a connect of our own is refused, as one of the worker would be."""
        probe = socket.socket()
        probe.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        try:
            connect = asyncio.get_running_loop().sock_connect(probe, (LOOPBACK, self.number))
            await asyncio.wait_for(connect, _PROBE_S)
        except ConnectionRefusedError:
            return True
        except (OSError, TimeoutError):
            return False
        finally:
            probe.close()
        return False

    def _accept(self) -> None:
        listener = self._listener
        with contextlib.suppress(OSError):  # none left, or the peer has gone already
            while listener is not None:
                self._on_connect(listener.accept()[0])

    def _bound(self) -> socket.socket:
        # asyncio sets TCP_NODELAY only where the protocol is named; without it answers take 40 ms.
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.settimeout(0)
        try:
            self._share(sock, shared=True)
            sock.bind((LOOPBACK, self.number))
        except OSError:
            sock.close()
            raise
        return sock

    def _share(self, sock: socket.socket, *, shared: bool) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(shared))
        if sys.platform != "linux" and shared:
            # BSD systems want this one before two sockets may hold the same address.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
