"""What a process of the lab loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

LAUNCHER = "loomtriage.lab.supervisor.launch"


def loads_launcher(statement: str) -> bool:
    code = f"{statement}\nimport sys; print({LAUNCHER!r} in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return told.stdout.strip() == "True"


@pytest.mark.parametrize("service", ["api", "elastic", "otlp", "proxy", "worker"])
def test_service_does_not_load_what_launches_it(service):
    """A service of the lab carries no launcher, so that it starts lean and knows only its own."""
    assert not loads_launcher(f"import loomtriage.lab.{service}.__main__")


def test_whoever_asks_for_a_lab_gets_the_launcher():
    """`up` is there for who asks for it, and the test above would see it."""
    assert loads_launcher("from loomtriage.lab import up")
