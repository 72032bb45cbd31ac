"""Backoff: do the waits between tries grow as planned, and is each kept?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from loomtriage.contract.keys import CHRONICLE
from loomtriage.contract.reasons import BY_NAME, FailureClass

BASE_S, MAX_S, MAX_ATTEMPTS = 0.5, 30.0, 10
"""Wordloom's documented settings of the search worker."""
MAX_S_OF: Mapping[str, float] = {CHRONICLE: 10.0}
"""The documented cap of projections that have another one."""
AT_CAP = 0.9
"""From this share of its cap on, a wait does not grow any more."""
FLAT_FROM = 4
"""From this attempt on, equal waits may be those of a lower cap as well as a mere pause."""
JITTER_SHARE = 0.25
"""A planned wait may be longer than its formula by so much: 10 % (search) or 20 % (chronicle)."""
EARLY_S = 0.05
"""A claim may seem earlier than the wait by so much: two clocks and their rounding."""
BOUNDED = frozenset({"unknown_exception"})
"""Transient reasons that end after max attempts; all others wait for as long as it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """The formula that the planned waits follow: min(max, base * 2^attempt), plus jitter.

    Attributes:
        base_s, max_s: as the waits say themselves.
        n: planned waits.
        inside: of them, those within the formula and its jitter.
        grows: whether later attempts wait longer; None where that cannot be seen: there is one
            attempt only, or the waits may stand at their cap from the first one on.
    """

    base_s: float
    max_s: float
    n: int
    inside: int
    grows: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Planned waits against the real ones, seconds.

    Attributes:
        n: waits after which the next try was seen.
        early: tries that came before their time.
        late_s: how much later than planned half of them came, and the worst.
    """

    n: int
    early: int
    late_s: tuple[float, float]


def laws(tries: pd.DataFrame) -> dict[str, Law]:
    """The formula behind the planned waits of retries, by projection; those with no wait lack."""
    planned = tries[tries["result"].eq("retry") & (tries["planned_s"] > 0) & (tries["attempt"] > 0)]
    return {
        str(projection): _law(str(projection), mine)
        for projection, mine in planned.groupby("projection")
    }


def _law(projection: str, planned: pd.DataFrame) -> Law:
    low = planned.groupby("attempt")["planned_s"].min()
    first = int(low.index[0])
    base_s = float(low.iloc[0]) / 2.0 ** min(first, MAX_ATTEMPTS)
    max_s = float(low.max())
    formula = (base_s * 2.0 ** planned["attempt"].clip(upper=32)).clip(upper=max_s)
    inside = (planned["planned_s"] >= formula * 0.9) & (
        planned["planned_s"] <= formula * (1 + JITTER_SHARE)
    )
    grows: bool | None = None
    if len(low) > 1:
        grows = bool(low.iloc[-1] > low.iloc[0] * 1.5)
    if not grows and (first >= FLAT_FROM or low.min() >= AT_CAP * MAX_S_OF.get(projection, MAX_S)):
        grows = None
    return Law(base_s=base_s, max_s=max_s, n=len(planned), inside=int(inside.sum()), grows=grows)


def kept(tries: pd.DataFrame) -> Kept | None:
    """Whether rows were tried again at their time; None where no wait and next try are seen."""
    following = _next_at(tries)
    begun = tries["result"].eq("retry") & tries["planned_s"].notna() & following.notna()
    if not begun.any():
        return None
    real = (following[begun] - tries.loc[begun, "at"]).dt.total_seconds()
    late = real - tries.loc[begun, "planned_s"]
    worst = (float(late.median()), float(late.max()))
    return Kept(n=len(late), early=int((late < -EARLY_S).sum()), late_s=worst)


def attempts_table(tries: pd.DataFrame) -> pd.DataFrame:
    """Retries by projection and attempt.

    Columns: projection, attempt, retries, rows, planned_min, planned_max and gap (the real wait,
    median), the last three in seconds.
    """
    retried = tries.assign(gap_s=(_next_at(tries) - tries["at"]).dt.total_seconds())
    retried = retried[retried["result"] == "retry"]
    grouped = retried.groupby(["projection", "attempt"])
    return pd.DataFrame(
        {
            "retries": grouped.size(),
            "rows": grouped["row_id"].nunique(),
            "planned_min": grouped["planned_s"].min(),
            "planned_max": grouped["planned_s"].max(),
            "gap": grouped["gap_s"].median(),
        }
    ).reset_index()


def _next_at(tries: pd.DataFrame) -> pd.Series:
    """When the same row was tried next in the same life; after a replay nothing was planned."""
    return tries.groupby(["row_id", "life"])["at"].shift(-1)


def left_s(reason: str, attempts: int, *, base_s: float, max_s: float) -> float | None:
    """Seconds of waiting until a row with that many attempts ends for good; None: it never does."""
    known = BY_NAME.get(reason)
    if known is None or known.failure is not FailureClass.TRANSIENT or reason not in BOUNDED:
        return None
    waits = (min(max_s, base_s * 2.0**n) for n in range(attempts + 1, MAX_ATTEMPTS))
    return float(sum(waits))
