"""One lab for all tests that only need some lab, under a home of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from loomtriage.lab import LabState, down, up
from loomtriage.settings import settings


@pytest.fixture(scope="package")
def lab_home() -> Iterator[Path]:
    """A private home for labs that the database's account may pass through."""
    home = Path(tempfile.mkdtemp(prefix="lt-home-"))
    home.chmod(0o711)
    before = os.environ.get("LOOMTRIAGE_HOME")
    os.environ["LOOMTRIAGE_HOME"] = str(home)
    settings.cache_clear()
    yield home
    if before is None:
        del os.environ["LOOMTRIAGE_HOME"]
    else:
        os.environ["LOOMTRIAGE_HOME"] = before
    settings.cache_clear()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="package")
def lab(lab_home: Path) -> Iterator[LabState]:
    """A lab without load on free ports; tests leave it as they found it."""
    root = lab_home / "labs" / "shared"
    said: list[str] = []
    yield up(root, ports="auto", say=said.append, owner_pid=os.getpid(), owner_grace_s=5)
    down(root, said.append)


@pytest.fixture
def own_root(lab_home: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Folder for a lab of the test's own, taken down whatever happens."""
    root = lab_home / "labs" / request.node.name[:40]
    yield root
    down(root, lambda _line: None)


@pytest.fixture
def said() -> list[str]:
    """What the lab said; pass `said.append` as `say`."""
    return []
