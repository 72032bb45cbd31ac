"""Offline: how is a round played on a recorded run, without any lab?"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from loomtriage.train.closing import close, look_back
from loomtriage.train.drawn import unseen_copy
from loomtriage.train.pool import lacking, pick, recorded_runs
from loomtriage.train.rounds import (
    ROUND_FILE,
    TELEMETRY,
    Closed,
    Desk,
    Held,
    Opened,
    Order,
    promised,
)
from loomtriage.train.stripped import strip_run
from loomtriage.train.truth import Truth

MOVE_S = (86_400, 60 * 86_400)
"""Bounds of how far into the past a recording is moved, in seconds."""


def play_offline(
    order: Order,
    desk: Desk,
    *,
    say: Callable[[str], None],
    opened: Callable[[Opened], None],
) -> Closed:
    """Play one round on a recorded run.

    Args:
        order: how.
        desk: takes the answers.
        say: takes progress lines, which tell nothing of the truth.
        opened: told once, when the clock starts.

    Raises:
        GaveUp: no answers came; the round is on the board as abandoned.
        UsageError: there is no recorded run to draw from.
        BundleDamaged: the board was edited, or the recorded run: then nothing was promised.
    """
    draw = order.draw()
    runs = recorded_runs(order.pool)
    if note := lacking(runs):
        say(note)
    chosen = pick(
        runs,
        lambda one: one.drill,
        level=order.level,
        draw=draw,
    )
    # Whatever is wrong with the run is found before anything is promised.
    with (room := TemporaryDirectory(prefix="loomtriage-r-")):
        ready, name = Path(room.name) / TELEMETRY, f"telemetry-{secrets.token_hex(4)}"
        with unseen_copy([one.folder for one in runs], chosen.folder) as run:
            strip_run(run, ready, name=name, move_s=-draw.randrange(*MOVE_S))
        with promised(order, chosen.truth, say=say) as held:
            shutil.move(ready, held.folder / TELEMETRY)
            room.cleanup()  # a director that is killed leaves nothing behind
            return _seat(held, chosen.truth, desk, opened)


def _seat(held: Held, truth: Truth, desk: Desk, opened: Callable[[Opened], None]) -> Closed:
    """Start the clock, take the answers, and close."""
    told = Opened(
        id=held.id,
        commit=held.promise.commit,
        mode=held.order.mode,
        level=held.order.level,
        source=f"run:{held.folder / TELEMETRY}",
        folder=held.folder,
        limit_s=held.order.limit_s,
    )
    held.write(ROUND_FILE, told.as_json())
    with held.watched(held.folder):
        t0 = datetime.now(UTC)
        opened(told)
        sheet = desk(told)
    seen = look_back(held, told, sheet)
    return close(held, told, truth, sheet, t0=t0, seen=seen)
