"""Small labs: one that all drill tests of a session share, and those that may be destroyed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loomtriage.errors import Refused
from loomtriage.lab import LabState, down, is_alive, up
from tests.drills.rehearsal import bring_back

# Retries come often, so that rows drain in a second or two.
QUICK = {"OUTBOX_BASE_BACKOFF_SECONDS": "0.1", "OUTBOX_MAX_BACKOFF_SECONDS": "0.4"}


@contextmanager
def a_lab(worker_cmd: tuple[str, ...] = ()) -> Iterator[LabState]:
    """A lab in a home of its own, with our worker or with somebody else's."""
    # PostgreSQL runs as another account when we are root, and must reach its folder.
    home = Path(tempfile.mkdtemp(prefix="loomtriage-drills-"))
    home.chmod(0o711)
    root = home / "labs" / "t"
    try:
        try:
            state = up(
                root,
                ports="auto",
                say=lambda _line: None,
                owner_pid=os.getpid(),
                owner_grace_s=1.0,
                worker_env=QUICK,
                worker_cmd=worker_cmd,
            )
        except Refused as error:
            pytest.skip(f"no lab here: {error}")
        yield state
        down(root, lambda _line: None)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="package")
def lab() -> Iterator[LabState]:
    """One lab that all drills share; it ends with the last of them, for idle labs cost time."""
    with a_lab() as state:
        yield state


@pytest.fixture(autouse=True)
def _one_failure_stays_one(request: pytest.FixtureRequest) -> Iterator[None]:
    """A shared lab is brought back after a test that failed, so that the next one finds it whole.

    A module that keeps its lab at work from test to test ends that by itself.
    """
    shared = {"lab", "foreign_lab"} & set(request.fixturenames)
    if not shared or "working" in request.fixturenames:
        yield
        return
    lab: LabState = request.getfixturevalue(shared.pop())
    assert is_alive(lab), "an earlier test broke the shared lab for good"
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed and is_alive(lab):
        lacking = bring_back(lab)
        assert not lacking, f"the shared lab stays broken: {lacking}"


@pytest.fixture
def doomed_lab() -> Iterator[LabState]:
    """A lab that a test may destroy."""
    with a_lab() as state:
        yield state
