"""Exemplars: which trace ids does the metrics server hold for the counters of a question?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from loomtriage.model.frame import EXEMPLAR_COLUMNS
from loomtriage.sources.metrics.promql_answer import read_data
from loomtriage.sources.metrics.series import contract_labels, in_scope
from loomtriage.sources.question import Question
from loomtriage.sources.tape import Unreadable

APPEARS = (
    "No sample of these metrics carries a trace id. Workers must expose exemplars as OpenMetrics, "
    "and Prometheus keeps them with --enable-feature=exemplar-storage."
)
_TRACE_LABELS = ("trace_id", "traceID", "traceId", "trace.id")


def exemplar_table(body: bytes, question: Question) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """One row an exemplar within `[start, end)` and the scope, by time.

    `labels` are those of its series in the contract's spelling, `value` is what the observation
    added. Exemplars without trace id are left out and counted.

    Raises:
        Unreadable: the body is damaged or has another shape.
    """
    data, notes = read_data(body, list)
    try:
        told = [row for one in data for row in _rows(one)]
    except (AttributeError, KeyError, OSError, OverflowError, TypeError, ValueError):
        raise Unreadable("wrong_content", "The answer is no list of exemplars.") from None
    found = list({(*map(str, row.values()),): row for row in told}.values())
    if len(found) < len(told):
        notes = (*notes, f"{len(told) - len(found)} repeated exemplars were left out.")
    inside = [
        row
        for row in found
        if row["ts"] in question.window and in_scope(row["labels"], question.scope)
    ]
    rows = sorted((row for row in inside if row["trace_id"]), key=lambda row: row["ts"])
    if len(rows) < len(inside):
        notes = (*notes, f"{len(inside) - len(rows)} exemplars without trace id were left out.")
    table = pd.DataFrame(rows, columns=list(EXEMPLAR_COLUMNS))
    return table.assign(ts=pd.to_datetime(table["ts"], utc=True)), notes


def _rows(one: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    labels = contract_labels({str(k): str(v) for k, v in one["seriesLabels"].items()})
    metric = labels.pop("__name__", "")
    for exemplar in one["exemplars"]:
        own = exemplar["labels"]
        ids = [str(own[name]).lower() for name in _TRACE_LABELS if own.get(name)]
        yield {
            "ts": datetime.fromtimestamp(float(exemplar["timestamp"]), UTC),
            "metric": metric,
            "labels": labels,
            "trace_id": ids[0] if ids else "",
            "value": float(exemplar["value"]),
        }
