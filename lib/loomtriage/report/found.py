"""How does what belongs to one id read: the hops, the spans, the outbox rows, the log lines?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from loomtriage.report.tables import Table

Hop = tuple[str, int, int, str]
"""What it is, how many were found, of how many, and a sentence."""


def hops_table(hops: Sequence[Hop], *, title: str, note: str) -> Table:
    """One line a signal; the note says how much of one signal resolves in the next."""
    return Table(
        id="pivot-hops",
        title=title,
        columns=("what", "found", "of", "joined"),
        rows=tuple((noun, str(count), str(of), says) for noun, count, of, says in hops),
        note=note,
    )


def spans_table(spans: pd.DataFrame) -> Table:
    """Spans by start, with the key that joined each; duration in milliseconds."""
    return Table(
        id="pivot-spans",
        title="Spans",
        columns=("start", "service", "operation", "ms", "error", "trace id", "joined by"),
        rows=tuple(
            (
                _clock(row["start"]),
                str(row["service"]),
                str(row["operation"]),
                f"{row['duration_s'] * 1000:.1f}",
                str(row["status_message"] or "yes") if row["error"] else "",
                str(row["trace_id"]),
                str(row["by"]),
            )
            for row in spans.to_dict("records")
        ),
    )


def rows_table(rows: pd.DataFrame) -> Table:
    """Outbox rows by creation, with the key that joined each."""
    return Table(
        id="pivot-rows",
        title="Outbox rows",
        columns=("created", "id", "op", "status", "attempts", "reason", "projection", "joined by"),
        rows=tuple(
            (
                _clock(row["created_at"]),
                str(row["id"]),
                str(row["op"]),
                str(row["status"]),
                str(row["attempts"]),
                str(row["reason"]),
                str(row["projection"]),
                str(row["by"]),
            )
            for row in rows.to_dict("records")
        ),
    )


def lines_table(lines: pd.DataFrame) -> Table:
    """Log lines by time, with the key that joined each."""
    return Table(
        id="pivot-lines",
        title="Log lines",
        columns=("time", "level", "event or message", "where", "joined by"),
        rows=tuple(
            (
                _clock(row["ts"]),
                str(row["level"]),
                str(row["event"] or row["message"])[:120],
                f"{row['file']}:{row['line']}",
                str(row["by"]),
            )
            for row in lines.to_dict("records")
        ),
    )


def _clock(moment: object) -> str:
    if not isinstance(moment, pd.Timestamp):
        return ""
    return moment.strftime("%H:%M:%S.%f")[:-3] + "Z"
