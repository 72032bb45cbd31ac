"""Windows of work: did anything happen in each of them, and is every row accounted for?"""

from __future__ import annotations

from dataclasses import dataclass

from loomtriage.contract.catalogue import BY_ID
from loomtriage.contract.keys import OUTBOX_TABLES
from loomtriage.drills.meter import Reading, Span
from loomtriage.drills.rows import RowCounts
from loomtriage.lab.load import LoadCounts
from loomtriage.model import Finding, State

LEAST_WORK = 3.0
"""Rows or attempts below which a window proves nothing."""


@dataclass(slots=True, kw_only=True)
class Readings:
    """The counters at the edges of a drill's windows, as far as it got."""

    start: Reading | None = None
    before: Reading | None = None
    during: Reading | None = None
    after: Reading | None = None

    def baseline(self) -> Span | None:
        """Before apply."""
        return _span(self.start, self.before)

    def fault(self) -> Span | None:
        """From just before apply to just before revert."""
        return _span(self.before, self.during)

    def recovery(self) -> Span | None:
        """From just before revert to rest."""
        return _span(self.during, self.after)


def _span(before: Reading | None, after: Reading | None) -> Span | None:
    return Span(before=before, after=after) if before and after else None


def idle_windows(readings: Readings, *, silent: tuple[str, ...] = ()) -> str:
    """Which window saw no work, or which process was silent; empty when all is well.

    In the fault window a failed attempt is work too; before and after it, only finished rows are.

    Args:
        readings: the counters at the edges of the windows.
        silent: processes that the fault may silence.
    """
    for name, span, metrics in (
        ("baseline", readings.baseline(), ("processed",)),
        ("fault", readings.fault(), ("processed", "failed")),
        ("recovery", readings.recovery(), ("processed",)),
    ):
        if span is None:
            return f"the {name} window was not observed"
        missing = span.missing - {*silent}
        if missing:
            return f"in the {name} window the {', '.join(sorted(missing))} gave no metrics"
        done = sum(span.increase(BY_ID[metric].name, {}) for metric in metrics)
        if done < LEAST_WORK:
            return f"only {done:g} rows were worked on in the {name} window"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """Rows of one projection before a drill and after it."""

    before: RowCounts
    after: RowCounts
    projection: str

    def more(self, *statuses: str) -> int:
        """By how many rows these statuses (all of them when none is given) grew."""
        totals = (c.total(*statuses, projection=self.projection) for c in (self.after, self.before))
        after, before = totals
        return after - before


def conserved(counts: LoadCounts, rows: Came, *, made: int = 0) -> Finding:
    """Whether every accepted write is one row that is done, failed or still pending.

    A refused write may have come in all the same, when only its answer was lost.

    Args:
        counts: writes of the drill's load.
        rows: what became of them.
        made: rows that the fault itself put into the outbox.
    """
    came = rows.more() - made
    table = OUTBOX_TABLES.get(rows.projection, rows.projection)
    kept = ", ".join(f"{rows.more(s)} {s}" for s in ("done", "failed", "pending", "processing"))
    extra = f", {made} made by the fault" if made else ""
    return Finding(
        check=f"drill.conservation.{rows.projection}",
        state=State.OK if 0 <= came - counts.accepted <= counts.refused else State.BAD,
        says=f"{counts.accepted} writes accepted, {counts.refused} refused{extra}; "
        f"{rows.more()} rows came into {table}: {kept}.",
        value=float(came - counts.accepted),
        unit="rows",
        threshold=0.0,
        n=counts.sent,
    )
