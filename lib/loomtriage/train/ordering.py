"""Ordering: which round does somebody ask for, with what is usual filled in?"""

from __future__ import annotations

from pathlib import Path

from loomtriage.errors import UsageError
from loomtriage.settings import account, settings, shipped
from loomtriage.train.pool import Level
from loomtriage.train.rounds import LIMIT_S, Mode, Order

BOARD = "board"
CHANCE = -1
LONGEST_S = 3600


def order_of(  # noqa: PLR0913  (one argument per option)
    *,
    offline: bool,
    who: str,
    level: str = "",
    seed: int = CHANCE,
    board: str = "",
    source: str = "",
    out: Path | None = None,
    limit_s: float = 0,
) -> Order:
    """An order from options as people give them; empty ones take what is usual.

    The usual name on the board is that of the account.

    Raises:
        UsageError: an option does not make sense.
    """
    if level and level not in list(Level):
        raise UsageError(f"There is no level {level[:40]!r}.", hint=f"Use {', '.join(Level)}.")
    if not 0 <= limit_s <= LONGEST_S:
        raise UsageError(f"A limit of {limit_s:g} s is none.", hint="Give 1 to 3600 s.")
    pool = Path(source).expanduser() if source else shipped("runbooks/examples")
    if not pool.is_dir():
        raise UsageError(f"{source[:160]!r} is no folder of runs.", hint="Give an existing folder.")
    mode = Mode.OFFLINE if offline else Mode.LIVE
    return Order(
        mode=mode,
        level=Level(level or Level.BASIC),
        seed=None if seed == CHANCE else seed,
        who=(who or account())[:60],
        board=board_of(board),
        out=out or settings().runs_dir(),
        pool=pool,
        limit_s=limit_s or LIMIT_S[mode],
    )


def board_of(folder: str) -> Path:
    """The team's folder; without one, your own beside your runs."""
    return Path(folder).expanduser().absolute() if folder else settings().runs_dir() / BOARD
