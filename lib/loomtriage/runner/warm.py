"""A running kernel that takes back the clients which others leave open."""

from __future__ import annotations

from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager


class WarmKernel(KernelManager):
    """Starts and ends a kernel, and knows every client of it.

    nbclient closes no client of a kernel that it did not start. Each holds a dozen files open, so
    that a process which runs a hundred notebooks would be refused the next.
    """

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self._made: list[BlockingKernelClient] = []

    def client(self, **kw: Any) -> BlockingKernelClient:
        """A client of this kernel, for whoever asks."""
        self._made.append(super().client(**kw))
        return self._made[-1]

    def close_clients(self) -> None:
        """Close all clients and what they hold open."""
        while self._made:
            self._made.pop().stop_channels()
