"""Closing: which buckets do the failed rows of a case fall into, and what is known about each?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from loomtriage.analysis.templates import SKELETON_CAP, skeleton
from loomtriage.closeout.buckets import Bucket, Buckets, Likeness, last_failures
from loomtriage.closeout.strategy import QUIET_S, UNDATED, Circumstances, Strategy, strategy
from loomtriage.contract.events import ROW_PREFIX
from loomtriage.contract.keys import CHRONICLE, read_key
from loomtriage.model import Window
from loomtriage.report.text import clip
from loomtriage.stages.proofs import in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A bucket, its strategy, and what of it was seen elsewhere.

    Attributes:
        projection: whose rows.
        bucket, strategy: as close-out itself sees them.
        in_window: whether its last row failed since the window began.
        trace_id: of one of its rows, empty where none is known.
        line: hash of the log line of one of its rows, empty where none is known.
        line_says: where that line stands, and what it says.
    """

    projection: str
    bucket: Bucket
    strategy: Strategy
    in_window: bool
    trace_id: str = ""
    line: str = ""
    line_says: str = ""


def judged_buckets(rows: pd.DataFrame, lines: pd.DataFrame, *, window: Window) -> Iterator[Judged]:
    """Buckets of each projection, the largest first, with strategy and pivots.

    Args:
        rows: a ROWS table.
        lines: a LINES table.
        window: what lies in it is of this incident; its end is taken for now.
    """
    failed = rows[rows["status"] == "failed"]
    told = _lines_by_row(lines)
    for projection, mine in failed.groupby("projection", sort=True):
        others = rows[rows["projection"] == projection]
        buckets = _buckets(mine, others, str(projection))
        latest = last_failures(buckets)
        for bucket in buckets:
            last, is_dated = latest[bucket.cause], projection != CHRONICLE
            known = _circumstances(bucket, others, window, last=last, is_dated=is_dated)
            named = (told[row_id] for row_id in bucket.examples if row_id in told)
            line, line_says = next(named, ("", ""))
            trace = mine[mine["id"].astype(str).isin(bucket.examples)]["trace_id"]
            yield Judged(
                projection=str(projection),
                bucket=bucket,
                strategy=strategy(bucket, known),
                in_window=bucket.last >= window.start,
                trace_id=next((trace_id for trace_id in trace if trace_id), ""),
                line=line,
                line_says=line_says,
            )


def error_of(bucket: Bucket) -> str:
    """The error that a bucket's rows share; where its mask was cut, that is seen."""
    masked = bucket.likeness.template
    return clip(f"{masked} ", SKELETON_CAP) if len(masked) >= SKELETON_CAP else masked


def _buckets(failed: pd.DataFrame, others: pd.DataFrame, projection: str) -> tuple[Bucket, ...]:
    found = Buckets()
    # The chronicle worker touches every failed row in each turn: only its age is the row's own.
    when = "created_at" if projection == CHRONICLE else "updated_at"
    alive = others[others["status"].isin(("processing", "done")) & (others["op"] != "delete")]
    latest = alive.groupby(["entity_type", "entity_id"])["created_at"].max().to_dict()
    for row in failed.sort_values(["created_at", "id"]).to_dict("records"):
        later = latest.get((row["entity_type"], row["entity_id"]))
        overtaken = row["op"] == "delete" and later is not None and later > row["created_at"]
        likeness = Likeness(
            str(row["reason"]),
            skeleton(str(row["error"])),
            str(row["entity_type"]),
            str(row["op"]),
            int(row["replay_count"] or 0),
            overtaken,
        )
        found.add(likeness, str(row["id"]), row[when].to_pydatetime())
    return found.found()


def _circumstances(
    bucket: Bucket, rows: pd.DataFrame, window: Window, *, last: datetime, is_dated: bool
) -> Circumstances:
    """What the rows themselves tell of a bucket's cause, as of the end of the window.

    They never prove that it is gone: what a row failed for before a replay only the audit tells,
    and a plan reads it.
    """
    like = bucket.likeness
    done = rows[
        (rows["status"] == "done")
        & (rows["entity_type"] == like.entity_type)
        & (rows["op"] == like.op)
    ]
    ago = (window.end - last).total_seconds()
    when = f"{ago:.0f} s before the end of the window" if ago >= 1 else "at the end of the window"
    active = f"a row failed {when}" if is_dated and ago < QUIET_S else ""
    since = pd.Timestamp(window.end - timedelta(seconds=QUIET_S))
    waiting = rows[
        (rows["status"] == "pending")
        & (rows["reason"] == like.reason)
        & (rows["updated_at"] >= since)
    ]
    if not active and len(waiting):
        active = f"{len(waiting)} waiting rows failed so within {QUIET_S:.0f} s of the end"
    return Circumstances(
        passed=int((done["processed_at"] >= bucket.first).sum()),
        active=active,
        unknown="" if is_dated else UNDATED,
    )


def _lines_by_row(lines: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Hash and words of the last line that names each failed row."""
    if not len(lines):
        return {}
    failed = lines[lines["event"] == f"{ROW_PREFIX}failed"]
    return {
        read_key("outbox_event_id", row["fields"]): (f"sha256:{row['sha256']}", in_words(row))
        for row in failed.to_dict("records")
    }
