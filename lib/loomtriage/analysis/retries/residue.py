"""Residue: how much of what is not done is real backlog, and how much failed for good?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Residue:
    """The rows of one projection that are not done; ages in seconds, None without such rows.

    Attributes:
        waiting: pending rows that are due later, so that nobody may claim them yet.
        claimable: pending rows that are due.
        processing: claimed rows.
        failed: rows that failed for good: dead-letter residue, no backlog.
        oldest_s: age of the oldest row that is still to be done.
        oldest_failed_s: age of the oldest failed row.
    """

    projection: str
    waiting: int
    claimable: int
    processing: int
    failed: int
    oldest_s: float | None
    oldest_failed_s: float | None

    @property
    def backlog(self) -> int:
        """Rows that will still be done."""
        return self.waiting + self.claimable + self.processing


def residues(rows: pd.DataFrame, *, now: datetime) -> tuple[Residue, ...]:
    """Backlog and residue of each projection.

    Args:
        rows: a ROWS table.
        now: end of the window, aware UTC.
    """
    found = []
    for projection, mine in rows[rows["processed_at"].isna()].groupby("projection"):
        pending = mine[mine["status"] == "pending"]
        later = pending["next_retry_at"] > now
        failed = mine["status"] == "failed"
        found.append(
            Residue(
                projection=str(projection),
                waiting=int(later.sum()),
                claimable=int((~later).sum()),
                processing=int((mine["status"] == "processing").sum()),
                failed=int(failed.sum()),
                oldest_s=_age(mine[~failed], now),
                oldest_failed_s=_age(mine[failed], now),
            )
        )
    return tuple(found)


def _age(rows: pd.DataFrame, now: datetime) -> float | None:
    if rows.empty:
        return None
    return max(0.0, float((pd.Timestamp(now) - rows["created_at"].min()).total_seconds()))
