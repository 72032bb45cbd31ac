"""Offline: how is a round played on a recorded run, without any lab?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from loomtriage.train.closing import close, look_back
from loomtriage.train.pool import pick, recorded_runs
from loomtriage.train.rounds import (
    ROUND_FILE,
    TELEMETRY,
    Closed,
    Desk,
    Opened,
    Order,
    promised,
)
from loomtriage.train.stripped import strip_run
from loomtriage.train.truth import drill_of

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
        BundleDamaged: the board or the recorded run was edited.
    """
    draw = order.draw()
    chosen = pick(
        recorded_runs(order.pool),
        lambda one: drill_of(one.truth.as_json()),
        level=order.level,
        draw=draw,
    )
    with promised(order, chosen.truth, say=say) as held:
        telemetry = held.folder / TELEMETRY
        strip_run(
            chosen.folder, telemetry, name=f"round-{held.id}", move_s=-draw.randrange(*MOVE_S)
        )
        told = Opened(
            id=held.id,
            commit=held.promise.commit,
            mode=order.mode,
            level=order.level,
            source=f"run:{telemetry}",
            folder=held.folder,
            limit_s=order.limit_s,
        )
        held.write(ROUND_FILE, told.as_json())
        t0 = datetime.now(UTC)
        opened(told)
        sheet = desk(told)
        return close(
            held,
            told,
            chosen.truth,
            sheet,
            t0=t0,
            seen=look_back(held, told, sheet),
        )
