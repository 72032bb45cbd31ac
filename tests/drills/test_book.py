"""The drill book."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

import loomtriage.drills.book as book_package
from loomtriage.drills.book import DRILLS
from loomtriage.drills.fault import PLACEBO
from loomtriage.drills.faults import FAULTS
from loomtriage.drills.faults.process import DIES_S, HOLDS_WITHIN_S, KILL, STOP
from loomtriage.drills.faults.worker import RESTART
from loomtriage.errors import UsageError
from loomtriage.lab.control import READY_S

FILES = sorted(path.stem for path in Path(book_package.__file__).parent.glob("[a-z]*.py"))


def test_book_lists_every_drill():
    """Each drill file is in the book, and each entry has its file."""
    assert sorted(DRILLS) == FILES


@pytest.mark.parametrize("name", FILES)
def test_drill_tells_its_story_and_its_look_alikes(name):
    """A drill has a docstring like an incident, expectations, and what tells it apart."""
    drill = DRILLS.get(name, noun="drill")
    story = __import__(f"loomtriage.drills.book.{name}", fromlist=["x"]).__doc__
    kinds = {kind for recovery in FAULTS.all(noun="fault").values() for kind in recovery.kinds}
    assert drill.id == name
    assert len(story.splitlines()) >= 5
    assert drill.expect
    assert drill.look_alikes
    assert name not in drill.look_alikes
    assert drill.fault.kind in kinds | {PLACEBO}


APPLY_S = {STOP: HOLDS_WITHIN_S, KILL: HOLDS_WITHIN_S + DIES_S, RESTART: READY_S}
"""Seconds that apply may take, where it may take more than a moment."""


@pytest.mark.parametrize("name", FILES)
def test_lease_outlasts_what_is_applied_after_it(name):
    """A fault with a lease still stands when the one after it is applied, however late that is."""
    for seed in range(4):
        parts = getattr(DRILLS.get(name, noun="drill").drawn(seed).fault, "parts", ())
        for number, part in enumerate(parts):
            late_s = sum(APPLY_S.get(after.kind, 0.0) for after in parts[number + 1 :])
            assert getattr(part, "lease_s", math.inf) > late_s


def test_drill_with_a_cause_that_nobody_can_name_is_refused():
    """A drill's right answer and its look-alikes are causes of the contract."""
    drill = DRILLS.get("es_down", noun="drill")
    with pytest.raises(UsageError, match="no cause of the contract"):
        replace(drill, cause="es_dwon")
    with pytest.raises(UsageError, match="no cause of the contract"):
        replace(drill, look_alikes={"es_dwon": "?"})
