"""The drill book."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import loomtriage.drills.book as book_package
from loomtriage.drills.book import DRILLS
from loomtriage.drills.fault import PLACEBO
from loomtriage.drills.faults import FAULTS
from loomtriage.errors import UsageError

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


def test_drill_with_a_cause_that_nobody_can_name_is_refused():
    """A drill's right answer and its look-alikes are causes of the contract."""
    drill = DRILLS.get("es_down", noun="drill")
    with pytest.raises(UsageError, match="no cause of the contract"):
        replace(drill, cause="es_dwon")
    with pytest.raises(UsageError, match="no cause of the contract"):
        replace(drill, look_alikes={"es_dwon": "?"})
