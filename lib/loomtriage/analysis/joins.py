"""How much of one signal resolves in the next? Coverage per edge, each with its sample size."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from loomtriage.analysis.counters.folding import attempts_in_spans
from loomtriage.analysis.steps.outcomes import failing
from loomtriage.contract.keys import read_key
from loomtriage.contract.spans import BATCH

MOST_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Share of things a pivot resolves for; `share` is None when there was nothing to resolve.

    Attributes:
        unresolved: ids of the first things that do not; none where only counts are compared.
    """

    edge: str
    resolved: int
    n: int
    unresolved: tuple[str, ...] = ()

    @property
    def share(self) -> float | None:
        """Resolved ÷ n, between 0 and 1."""
        return None if self.n == 0 else self.resolved / self.n

    def as_json(self) -> dict[str, object]:
        """Counts and ids, as a verdict keeps them."""
        return {"resolved": self.resolved, "n": self.n, "unresolved": list(self.unresolved)}


def metric_to_trace(rows: float, spans: pd.DataFrame) -> Coverage:
    """Of the rows that failed by the counters, how many have an unsuccessful row span.

    Like with like: both sides are of one scope (env, projection, op), and both count a row once
    for each reason, however often it was tried. Where batches are all that was traced, batches
    are counted.
    """
    seen = attempts_in_spans(spans)
    found = len(seen[["row", "reason"]].drop_duplicates()) if len(seen) else _failed_batches(spans)
    n = round(rows)
    return Coverage(edge="metric→trace", resolved=min(found, n), n=n)


def _failed_batches(spans: pd.DataFrame) -> int:
    batches = spans[spans["operation"] == BATCH] if len(spans) else spans
    return int(failing(batches).sum()) if len(batches) else 0


def trace_to_log(spans: pd.DataFrame, lines: pd.DataFrame) -> Coverage:
    """Of the failing traces, how many have a line that carries their trace id."""
    failed = set(spans.loc[failing(spans), "trace_id"]) if len(spans) else set()
    seen = set(lines["trace_id"]) if len(lines) else set()
    return _covered("trace→log", failed, seen)


def log_to_row(lines: pd.DataFrame, rows: pd.DataFrame) -> Coverage:
    """Of the outbox rows that log lines name, how many the outbox still knows."""
    named = {
        read_key("outbox_event_id", fields)
        for fields in lines["fields"]
        if isinstance(fields, dict)
    } - {""}
    known = set(rows["id"]) if len(rows) else set()
    return _covered("log→row", named, known)


def _covered(edge: str, asking: set[str], known: set[str]) -> Coverage:
    lost = sorted(asking - known)
    return Coverage(
        edge=edge,
        resolved=len(asking & known),
        n=len(asking),
        unresolved=tuple(lost[:MOST_NAMED]),
    )
