"""Parts: other processes help where it is safe, and nobody waits for one that hangs."""

from __future__ import annotations

import subprocess
import sys

from tests.sources.hostile import hostile_file

COUNTING = """
import sys
from loomtriage.sources.lines import parts
from loomtriage.sources.lines.counts import counts

alone = counts(sys.argv[1], "reason").tallies
parts.PART_FROM_BYTES = 20_000
print(counts(sys.argv[1], "reason").tallies == alone)
"""
WHO = """
import os, threading, time
from loomtriage.sources.lines import parts

parts.PATIENCE_S = 3.0
PARTS, ME = [(0, 1), (1, 2), (2, 3)], os.getpid()

def asked(act):
    def who(start, stop):
        if start == 1 and os.getpid() != ME:
            act()
        return "here" if os.getpid() == ME else "there"
    begun = time.monotonic()
    print(*parts.in_parts(who, PARTS), time.monotonic() - begun < 40)

asked(lambda: None)
asked(lambda: time.sleep(60))
asked(lambda: os._exit(1))
threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
asked(lambda: None)
"""


def _told(script: str, *arguments: object) -> str:
    """What a process of its own says, which has one thread as `loomtriage logs` has."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_processes_agree_with_one(tmp_path):
    """Parts counted in other processes come to the same as the whole counted in this one."""
    path = tmp_path / "f.log"
    path.write_bytes(b"".join(hostile_file(seed) + b"\n" for seed in range(8, 250)))
    assert _told(COUNTING, path) == "True"


def test_other_processes_help_only_where_they_can():
    """A part that hangs or dies is read here; beside a second thread nothing is forked at all."""
    assert _told(WHO).splitlines() == [
        "here there there True",
        "here here there True",
        "here here there True",
        "here here here True",
    ]
