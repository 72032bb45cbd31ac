"""Draws the dashboard's panels, from the same queries, into docs/images/dashboard.png.

It starts a lab of its own, lets it work, poisons rows, takes Elasticsearch away, and ends the lab.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from loomtriage import lab as labs
from loomtriage.drills.faults.http import HttpRefuse
from loomtriage.drills.faults.rows import PoisonRows
from loomtriage.lab import control
from loomtriage.model import Window
from loomtriage.publish.picture import draw
from loomtriage.settings import settings

if TYPE_CHECKING:
    from loomtriage.lab import LabState

OUT = Path(__file__).resolve().parent.parent / "docs/images/dashboard.png"
WINDOW_S = 60.0


def stand(lab: LabState, fault: HttpRefuse | PoisonRows, *, seconds: float) -> Window:
    """Let a fault stand for a while; when it did."""
    print(f"{type(fault).__name__} stands for {seconds:g} s", file=sys.stderr)
    bound = fault.bind(lab, fault_id=secrets.token_hex(8))
    begun = datetime.now(UTC)
    undo = bound.apply()
    try:
        time.sleep(seconds)
    finally:
        bound.revert(undo)
    return Window(begun, datetime.now(UTC))


def main() -> int:
    """Draw; 1 when a panel stayed empty."""
    root = settings().home_dir() / "labs" / f"picture-{secrets.token_hex(3)}"

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    try:
        lab = labs.up(root, ports="auto", say=say, load_per_s=8.0, owner_pid=os.getpid())
        control.start(lab, "worker-2", env={"OUTBOX_USE_ES_BULK": "1"})
        time.sleep(15)
        marks = {"every third row is poison": stand(lab, PoisonRows(every=3), seconds=10)}
        time.sleep(5)
        marks["Elasticsearch is gone"] = stand(lab, HttpRefuse(lease_s=60), seconds=15)
        time.sleep(12)
        OUT.parent.mkdir(exist_ok=True)
        drawn, empty = draw(lab.prometheus_url, last_s=WINDOW_S, marks=marks, out=OUT)
    finally:
        labs.down(root, say=say)
        shutil.rmtree(root, ignore_errors=True)
    print(f"{drawn} series in {OUT.name}; panels without any: {', '.join(empty) or 'none'}")
    return 1 if empty else 0


if __name__ == "__main__":
    sys.exit(main())
