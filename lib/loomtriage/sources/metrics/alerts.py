"""Alerts: which alerts were pending or firing in the window, and since when?"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pandas as pd

from loomtriage.model.frame import ALERT_COLUMNS
from loomtriage.sources.metrics.promql_answer import read_matrix
from loomtriage.sources.metrics.sample_series import Series
from loomtriage.sources.metrics.series import contract_labels, in_scope
from loomtriage.sources.question import Question

APPEARS = "No alert was pending or firing in the window."
_Alert = tuple[str, tuple[tuple[str, str], ...]]
_APART = ("__name__", "alertname", "alertstate")


def alert_table(body: bytes, question: Question) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """One row an alert (name and labels) within `[start, end)` and the scope, by first moment.

    `pending_at` and `firing_at` are the first evaluations in the window that found it so, NaT
    when none did; an alert that is older begins with the window. `last_at` is the last of all.

    Raises:
        Unreadable: the body is damaged or has another shape.
    """
    series, notes = read_matrix(body)
    window = question.window
    start, end = (round(moment.timestamp() * 1000) for moment in (window.start, window.end))
    alerts: dict[_Alert, list[Series]] = {}
    for one in series:
        labels = {k: v for k, v in contract_labels(one.labels).items() if k not in _APART}
        seen = one.within(start, end)
        if len(seen.times) and in_scope(labels, question.scope):
            alert = (one.labels.get("alertname", ""), tuple(sorted(labels.items())))
            alerts.setdefault(alert, []).append(seen)
    rows = [
        {
            "alert": name,
            "labels": dict(labels),
            "pending_at": _first(found, "pending"),
            "firing_at": _first(found, "firing"),
            "last_at": _moment(max(one.times[-1] for one in found)),
        }
        for (name, labels), found in alerts.items()
    ]
    table = pd.DataFrame(rows, columns=list(ALERT_COLUMNS))
    times = ("pending_at", "firing_at", "last_at")
    table = table.assign(**{name: pd.to_datetime(table[name], utc=True) for name in times})
    first = table[["pending_at", "firing_at"]].min(axis=1)
    order = table.assign(first=first).sort_values(["first", "alert"]).index
    return table.loc[order].reset_index(drop=True), notes


def _first(series: Iterable[Series], state: str) -> datetime | None:
    begun = [one.times[0] for one in series if one.labels.get("alertstate") == state]
    return _moment(min(begun)) if begun else None


def _moment(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
