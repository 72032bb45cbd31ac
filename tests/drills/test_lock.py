"""One drill at a time on a lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from loomtriage.drills.lock import drill_lock, holder
from loomtriage.errors import Exit, Refused

HOLD = """
import sys
from pathlib import Path
from loomtriage.drills.lock import drill_lock
with drill_lock(Path(sys.argv[1]), "a1"):
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(home):
    """A process that holds the lock until its stdin ends or it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_second_drill_is_refused_and_told_who_holds_the_lock(tmp_path):
    """The loser gets exit code 5 and the holder's process id; another lab is not concerned."""
    process = start_holder(tmp_path)
    try:
        with (
            pytest.raises(Refused, match=f"process {process.pid} since") as refused,
            drill_lock(tmp_path, "a1"),
        ):
            pass
        assert refused.value.exit_code is Exit.REFUSED
        assert holder(tmp_path, "a1").pid == process.pid
        with drill_lock(tmp_path, "b2"):
            assert holder(tmp_path, "b2").pid == os.getpid()
    finally:
        process.communicate("")


def test_lock_ends_with_its_holder(tmp_path):
    """A killed holder leaves a lock that the next drill simply takes."""
    process = start_holder(tmp_path)
    process.kill()
    process.communicate()
    assert holder(tmp_path, "a1") is None
    with drill_lock(tmp_path, "a1"):
        assert holder(tmp_path, "a1").pid == os.getpid()
    assert holder(tmp_path, "a1") is None


@pytest.mark.parametrize("text", ["", "rubbish", json.dumps({"pid": 1, "born": "0", "since": "x"})])
def test_text_of_a_stale_lock_blocks_nobody(tmp_path, text):
    """What an earlier holder wrote, even with a process id in use again, decides nothing."""
    path = tmp_path / "locks" / "a1.lock"
    path.parent.mkdir()
    path.write_text(text)
    with drill_lock(tmp_path, "a1"):
        assert holder(tmp_path, "a1").pid == os.getpid()


def test_lock_is_free_after_an_exception(tmp_path):
    """A drill that breaks does not keep the lock."""
    with pytest.raises(ValueError, match="broke"), drill_lock(tmp_path, "a1"):
        raise ValueError("broke")
    assert holder(tmp_path, "a1") is None
