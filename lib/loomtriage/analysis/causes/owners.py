"""Owners: do the workers whose rows outlived their lease still work?"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pandas as pd

from loomtriage.analysis.causes.silence import SURE
from loomtriage.analysis.counters.increases import measure
from loomtriage.contract import catalogue
from loomtriage.model import Frame, Window

ENDS = ("processed", "retry_scheduled", "terminal_failed")
"""Counters of what becomes of a row: one that grows is the work of a worker that lives."""

TICK = timedelta(microseconds=1)


def ended_leases(rows: pd.DataFrame, until: datetime) -> pd.DataFrame:
    """Claimed rows whose lease ran out before that moment."""
    claimed = rows[rows["status"] == "processing"]
    return claimed[pd.to_datetime(claimed["lease_until"], utc=True) < until]


def owners_live(frame: Frame, rows: pd.DataFrame, *, span: Window) -> bool | None:
    """Whether every worker of the rows that are held too long went on after the lease ended.

    No row tells which worker's counter is its owner's, so one silent worker of the projection is
    a silent owner. None where no lease ended, no counter tells, there was no time to see it, or
    a worker that may have been the owner started anew, or had ended nothing until then.

    Args:
        frame: counters of baseline and window.
        rows: of the outbox.
        span: baseline and window together.
    """
    held = ended_leases(rows, span.end) if len(rows) else rows
    found = [
        _go_on(frame, str(projection), mine["lease_until"].min().to_pydatetime(), span=span)
        for projection, mine in held.groupby("projection")
    ]
    if False in found:
        return False
    return None if not found or None in found else True


def _go_on(frame: Frame, projection: str, moment: datetime, *, span: Window) -> bool | None:
    """Whether each worker that ended rows before the moment ended some after it."""
    levels = frame.data.columns.get_level_values
    names = {catalogue.BY_ID[name].name for name in ENDS}
    mine = levels("metric").isin(names) & (levels("projection") == projection)
    if not mine.any() or not span.start < moment < span.end:
        return None
    found: list[bool | None] = []
    idle = False
    for instance in dict.fromkeys(levels("instance")[mine]):
        keep = mine & (levels("instance") == instance) | (levels("metric") == "up")
        one = replace(frame, data=frame.data.loc[:, keep])
        if not _ended(one, span.start, moment):
            idle = True
        elif _began_anew(one, str(instance)):
            found.append(None)
        else:
            found.append(_goes_on(one, moment, span=span))
    if not found or False in found:
        return False
    return None if idle or None in found else True


def _began_anew(one: Frame, instance: str) -> bool:
    """Whether a worker did not answer, or counts from zero again: its claims are older."""
    names, of = (one.data.columns.get_level_values(level) for level in ("metric", "instance"))
    counts = one.data.loc[:, names != "up"]
    fell = any((counts[column].dropna().diff() < 0).any() for column in counts.columns)
    return fell or bool((one.data.loc[:, (names == "up") & (of == instance)] == 0).any(axis=None))


def _goes_on(one: Frame, moment: datetime, *, span: Window) -> bool | None:
    """Whether a worker ended rows after the moment; None where it had no time to.

    What the first scrape after the moment adds may have been ended before it. A pause says
    nothing unless, in as much time before it, so many rows ended that chance makes no such pause.
    """
    work = one.data.loc[:, one.data.columns.get_level_values("metric") != "up"].dropna(how="all")
    seen = work.index[work.index >= moment]
    if len(seen) and _ended(one, seen[0].to_pydatetime(warn=False) + TICK, span.end):
        return True
    grew = work.index[(work.ffill().diff() > 0).any(axis=1)]
    if not len(grew):
        return None
    last = grew[-1].to_pydatetime(warn=False) + TICK
    return None if _ended(one, last - (span.end - last), last) < SURE else False


def _ended(one: Frame, start: datetime, end: datetime) -> float:
    """Rows, and attempts, that a worker ended in that time."""
    if start >= end:
        return 0.0
    grown = measure(one, window=Window(start, end), baseline=None)
    return float(grown.table["observed"].sum())
