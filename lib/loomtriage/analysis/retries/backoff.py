"""Backoff: do the waits between tries grow as planned, and is each kept?"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from loomtriage.contract.reasons import BY_NAME, FailureClass

BASE_S, MAX_S, MAX_ATTEMPTS = 0.5, 30.0, 10
"""Wordloom's documented settings of the search worker."""
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
        grows: whether later attempts wait longer; None where only one attempt is seen.
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


def law(tries: pd.DataFrame) -> Law | None:
    """The formula behind the planned waits of retries, None where no line tells one."""
    planned = tries[(tries["result"] == "retry") & (tries["planned_s"] > 0)]
    if planned.empty:
        return None
    low = planned.groupby("attempt")["planned_s"].min()
    first = int(low.index[0])
    base_s = float(low.iloc[0]) / 2.0 ** min(first, MAX_ATTEMPTS)
    max_s = float(low.max())
    formula = (base_s * 2.0 ** planned["attempt"].clip(upper=32)).clip(upper=max_s)
    inside = (planned["planned_s"] >= formula * 0.9) & (
        planned["planned_s"] <= formula * (1 + JITTER_SHARE)
    )
    grows = None if len(low) < 2 else bool(low.iloc[-1] > low.iloc[0] * 1.5)
    return Law(base_s=base_s, max_s=max_s, n=len(planned), inside=int(inside.sum()), grows=grows)


def kept(tries: pd.DataFrame) -> Kept | None:
    """Whether rows were tried again at their time; None where no wait and next try are seen."""
    following = tries.groupby("row_id")["at"].shift(-1)
    begun = tries["result"].eq("retry") & tries["planned_s"].notna() & following.notna()
    if not begun.any():
        return None
    real = (following[begun] - tries.loc[begun, "at"]).dt.total_seconds()
    late = real - tries.loc[begun, "planned_s"]
    worst = (float(late.median()), float(late.max()))
    return Kept(n=len(late), early=int((late < -EARLY_S).sum()), late_s=worst)


def attempts_table(tries: pd.DataFrame) -> pd.DataFrame:
    """Per attempt number: retries, rows, planned wait (min, max) and real gap (median), seconds."""
    retried = tries.assign(
        gap_s=(tries.groupby("row_id")["at"].shift(-1) - tries["at"]).dt.total_seconds()
    )
    retried = retried[retried["result"] == "retry"]
    grouped = retried.groupby("attempt")
    return pd.DataFrame(
        {
            "retries": grouped.size(),
            "rows": grouped["row_id"].nunique(),
            "planned_min": grouped["planned_s"].min(),
            "planned_max": grouped["planned_s"].max(),
            "gap": grouped["gap_s"].median(),
        }
    ).reset_index()


def left_s(reason: str, attempts: int, *, base_s: float, max_s: float) -> float | None:
    """Seconds of waiting until a row with that many attempts ends for good; None: it never does."""
    known = BY_NAME.get(reason)
    if known is None or known.failure is not FailureClass.TRANSIENT or reason not in BOUNDED:
        return None
    waits = (min(max_s, base_s * 2.0**n) for n in range(attempts + 1, MAX_ATTEMPTS))
    return float(sum(waits))
