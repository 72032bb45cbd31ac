"""Tables of the close stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from loomtriage.contract.keys import CHRONICLE
from loomtriage.model.window import iso
from loomtriage.report.tables import Table
from loomtriage.stages.closing import Judged, error_of

OFFER = {"all": "yes, canary first", "canary": "canary only", "nothing": "no"}


def buckets_table(judged: Sequence[Judged]) -> Table:
    """One line a bucket: what it is, what to do, and whether it may be replayed."""
    rows = tuple(
        (
            one.projection,
            f"{one.bucket.n}",
            one.bucket.likeness.reason or "none stored",
            error_of(one.bucket),
            f"{one.bucket.likeness.op} of {one.bucket.likeness.entity_type}",
            f"{_seen(one)}{iso(one.bucket.first)} to {iso(one.bucket.last)}",
            f"{one.bucket.likeness.replays}",
            str(one.strategy.action),
            OFFER[str(one.strategy.offer)],
        )
        for one in judged
    )
    columns = ("projection", "rows", "reason", "error", "what", "seen", "replays", "do", "replay")
    note = "" if rows else "No row failed for good."
    return Table(id="buckets", title="Failed rows by case", columns=columns, rows=rows, note=note)


def examples_table(judged: Sequence[Judged]) -> Table:
    """Why each bucket is closed out so, and where to look at one of its rows."""
    rows = tuple(
        (
            one.bucket.likeness.reason or "none stored",
            one.strategy.why,
            one.strategy.first,
            ", ".join(one.bucket.examples),
            one.trace_id,
            one.line[:19],
        )
        for one in judged
    )
    return Table(
        id="why",
        title="Why, and where to look",
        columns=("reason", "why", "first", "rows", "trace id", "log line"),
        rows=rows,
    )


def _seen(one: Judged) -> str:
    """What its times tell, where it is not when the rows failed."""
    return "enqueued " if one.projection == CHRONICLE else ""


def rows_table(rows: pd.DataFrame) -> Table:
    """Rows by projection and status."""
    counts = Counter(zip(rows["projection"], rows["status"], strict=True))
    return Table(
        id="statuses",
        title="Rows by status",
        columns=("projection", "status", "rows"),
        rows=tuple((str(p), str(s), f"{n}") for (p, s), n in sorted(counts.items())),
        note="Rows not done yet, and rows done in the window.",
    )
