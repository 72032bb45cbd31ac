"""Play: which way is a round played, on a recorded run or in the lab?"""

from __future__ import annotations

from collections.abc import Callable

from loomtriage.train.offline import play_offline
from loomtriage.train.rounds import Closed, Desk, Mode, Opened, Order


def play(
    order: Order, desk: Desk, *, say: Callable[[str], None], opened: Callable[[Opened], None]
) -> Closed:
    """Play one round.

    Args:
        order: how.
        desk: takes the answers.
        say: takes progress lines, which tell nothing of the truth.
        opened: told once, when the clock starts.

    Raises:
        GaveUp: no answers came; the round is on the board as abandoned.
    """
    if order.mode is Mode.OFFLINE:
        return play_offline(order, desk, say=say, opened=opened)
    from loomtriage.train.live import play_live

    return play_live(order, desk, say=say, opened=opened)
