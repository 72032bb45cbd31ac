"""Start one lab service as a process on free ports, and know how it ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import httpx

READY_S = 30.0


def free_ports(count: int) -> list[int]:
    """Ports that nobody holds now, all different."""
    socks = [socket.socket() for _ in range(count)]
    try:
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in socks]
    finally:
        for sock in socks:
            sock.close()


def until(is_so: Callable[[], bool], what: str, timeout_s: float = READY_S) -> None:
    """Wait for a condition, and fail with its name when it never comes."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {timeout_s} s")
        time.sleep(0.02)


def answers(url: str) -> bool:
    """Whether a URL answers 200."""
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def service(name: str, env: Mapping[str, str], ready_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """One running `python -m loomtriage.lab.<name>`, ended by SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"loomtriage.lab.{name}"], env={**os.environ, **env}
    )
    try:
        until(lambda: answers(ready_url) or process.poll() is not None, f"lab.{name}")
        if process.poll() is not None:
            raise AssertionError(f"lab.{name} ended with {process.returncode}")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
