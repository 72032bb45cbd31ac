"""Charts and tables of the retries stage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from loomtriage.analysis.retries.backoff import BASE_S, MAX_S, Law, attempts_table, left_s
from loomtriage.analysis.retries.loops import SAYS, Loop
from loomtriage.analysis.retries.residue import Residue
from loomtriage.analysis.retries.tries import number
from loomtriage.case import Case
from loomtriage.report import charts
from loomtriage.report.canvas import Chart
from loomtriage.report.tables import Table

MOST_ROWS_DRAWN = 8
MOST_WAITING = 20


def attempts_chart(case: Case, tries: pd.DataFrame, *, title: str) -> Chart:
    """Attempt number over time of the rows that were tried most often."""
    known = tries[tries["attempt"] > 0]
    most = known.groupby("row_id").size().sort_values(ascending=False, kind="stable")
    series: dict[str, list[tuple[datetime, float]]] = {
        f"row {str(row_id)[:8]}": list(
            zip(mine["at"].dt.to_pydatetime(), mine["attempt"].astype(float), strict=True)
        )
        for row_id in most.index[:MOST_ROWS_DRAWN]
        if len(mine := known[known["row_id"] == row_id]) > 1
    }
    return charts.gauges(
        series,
        id="attempts",
        title=title,
        unit="attempt",
        window=case.window,
        baseline=case.baseline,
    )


def loops_table(loops: tuple[Loop, ...]) -> Table:
    """The silent loops, each with rows and what to do."""
    rows = tuple(
        (loop.kind, f"{loop.n} {loop.unit}", loop.because, ", ".join(loop.rows), SAYS[loop.kind][1])
        for loop in loops
    )
    return Table(
        id="loops",
        title="Silent loops",
        columns=("kind", "how many", "because", "rows", "do"),
        rows=rows,
        note="" if rows else "None was found. Looked for: " + ", ".join(SAYS) + ".",
    )


def attempts_shown(tries: pd.DataFrame, followed: Mapping[str, Law]) -> Table:
    """Per projection and attempt: planned wait against the formula, and the real gap."""
    table = attempts_table(tries)
    rows = tuple(
        (
            f"{int(row['attempt'])}",
            f"{int(row['retries'])}",
            f"{int(row['rows'])}",
            _span(row["planned_min"], row["planned_max"]),
            _formula(followed.get(str(row["projection"])), int(row["attempt"])),
            f"{row['gap']:.2f}" if pd.notna(row["gap"]) else "",
            str(row["projection"]),
        )
        for row in table.to_dict("records")
    )
    return Table(
        id="waits",
        title="Waits by attempt, seconds",
        columns=(
            "attempt",
            "retries",
            "rows",
            "planned",
            "formula",
            "real gap (median)",
            "projection",
        ),
        rows=rows,
        note="The real gap is a median, and includes the wait for the next poll of the worker."
        if rows
        else "",
    )


def waiting_table(rows: pd.DataFrame, followed: Mapping[str, Law], *, now: datetime) -> Table:
    """Rows that wait for a retry: when they are due, and when they would end for good."""
    waiting = rows[(rows["status"] == "pending") & (rows["reason"] != "")]
    waiting = waiting.sort_values(["attempts", "id"], ascending=[False, True])
    shown = []
    for row in waiting.head(MOST_WAITING).to_dict("records"):
        attempts, due = int(number(row["attempts"]) or 0), row["next_retry_at"]
        base_s, max_s = _settings(followed.get(str(row["projection"])))
        ends = left_s(str(row["reason"]), attempts, base_s=base_s, max_s=max_s)
        when = "no time" if pd.isna(due) else f"{(due - now).total_seconds():.1f} s"
        end = "never by itself" if ends is None else f"in {ends:.0f} s of waiting"
        shown.append((str(row["id"]), str(row["reason"]), f"{attempts}", when, end))
    return Table(
        id="waiting",
        title="Rows that wait for a retry",
        columns=("row", "reason", "attempts", "due in", "ends for good"),
        rows=tuple(shown),
        note=_how_many(len(waiting), len(shown)),
    )


def _how_many(waiting: int, listed: int) -> str:
    if listed < waiting:
        return f"{waiting} wait in all; these were tried most often."
    return "" if listed else "None waits."


def residue_table(left: tuple[Residue, ...]) -> Table:
    """Backlog and residue by projection."""
    rows = tuple(
        (
            one.projection,
            f"{one.claimable}",
            f"{one.waiting}",
            f"{one.processing}",
            _age(one.oldest_s),
            f"{one.failed}",
            _age(one.oldest_failed_s),
        )
        for one in left
    )
    return Table(
        id="residue",
        title="Backlog and residue",
        columns=("projection", "due", "waiting", "claimed", "oldest", "failed", "oldest failed"),
        rows=rows,
        note="Failed rows are no backlog: nothing but a replay moves them." if rows else "",
    )


def _formula(followed: Law | None, attempt: int) -> str:
    base_s, max_s = _settings(followed)
    return f"{min(max_s, base_s * 2.0 ** min(attempt, 32)):.2f}"


def _settings(followed: Law | None) -> tuple[float, float]:
    """Base and cap as the waits say themselves, as documented where none does."""
    return (followed.base_s, followed.max_s) if followed else (BASE_S, MAX_S)


def _span(low: float, high: float) -> str:
    if math.isnan(low):
        return ""
    return f"{low:.2f}" if high - low < 0.005 else f"{low:.2f} to {high:.2f}"


def _age(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.0f} s"
