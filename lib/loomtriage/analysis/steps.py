"""Which step (service + span name) fails or slows down?"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd

from loomtriage.analysis.surprise import gate, signed_g2
from loomtriage.contract.keys import Result, read_key

SHARE_OF_PARENT = 0.5
"""A child that carries at least this share of its parent's errors is where they come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One service + operation, compared between window and baseline.

    Attributes:
        service, operation: the step.
        parent: operation it mostly hangs under, empty for a root.
        calls, errors: in the window.
        calls_before, errors_before: in the baseline.
        g2: signed G² of the errors, exposure = calls; 0 without a baseline.
        passes: whether the errors are significant (or, without a baseline, present).
        excess_self_s: seconds of own time per root trace beyond the baseline's; 0 without one.
    """

    service: str
    operation: str
    parent: str
    calls: int
    errors: int
    calls_before: int
    errors_before: int
    g2: float
    passes: bool
    excess_self_s: float

    def __str__(self) -> str:
        return f"{self.service} › {self.operation}"


def failing(spans: pd.DataFrame) -> pd.Series:
    """Whether each span of a SPANS table failed (bool, same index).

    The span's own status counts, and so does a result of retry, failed or partial: a worker
    that schedules a retry has not succeeded, whatever the status says.
    """
    bad = {Result.RETRY.value, Result.FAILED.value, Result.PARTIAL.value}
    by_result = spans["attributes"].map(lambda attributes: read_key("result", attributes) in bad)
    return spans["error"].astype(bool) | by_result.astype(bool)


def self_time(spans: pd.DataFrame) -> pd.Series:
    """Seconds that each span spent itself: duration minus the union of its children, ≥ 0."""
    start = spans["start"].map(lambda moment: moment.timestamp()).to_numpy(dtype="float64")
    table = pd.DataFrame(
        {
            "own": spans["trace_id"].to_numpy() + "/" + spans["span_id"].to_numpy(),
            "above": spans["trace_id"].to_numpy() + "/" + spans["parent_id"].to_numpy(),
            "start": start,
            "end": start + spans["duration_s"].to_numpy(dtype="float64"),
        },
        index=spans.index,
    )
    bounds = table.drop_duplicates("own").set_index("own")[["start", "end"]]
    kids = table.merge(bounds, left_on="above", right_index=True, suffixes=("", "_above"))
    kids = kids.sort_values(["above", "start"])
    low = kids[["start", "start_above"]].max(axis=1)
    high = kids[["end", "end_above"]].min(axis=1)
    reached = high.groupby(kids["above"]).cummax().groupby(kids["above"]).shift(fill_value=-np.inf)
    covered = (
        (high - pd.concat([low, reached], axis=1).max(axis=1))
        .clip(lower=0.0)
        .groupby(kids["above"])
        .sum()
    )
    own = table["end"] - table["start"] - table["own"].map(covered).fillna(0.0)
    return own.clip(lower=0.0)


def compare(spans: pd.DataFrame, before: pd.DataFrame) -> tuple[Step, ...]:
    """Every step of the window's spans, the most surprising errors first."""
    if spans.empty:
        return ()
    now, then = _per_step(spans), _per_step(before)
    traces, traces_before = spans["trace_id"].nunique(), before["trace_id"].nunique()
    bound, parents = gate(len(now)), _parents(spans)
    steps = []
    for (service, operation), tally in now.items():
        old = then.get((service, operation))
        g2 = signed_g2(tally.errors, old.errors, exposure=tally.calls / old.calls) if old else 0.0
        slower = tally.self_s / traces - old.self_s / traces_before if old else 0.0
        steps.append(
            Step(
                service=service,
                operation=operation,
                parent=parents.get((service, operation), ""),
                calls=tally.calls,
                errors=tally.errors,
                calls_before=old.calls if old else 0,
                errors_before=old.errors if old else 0,
                g2=g2,
                passes=g2 > bound if old else tally.errors > 0,
                excess_self_s=slower,
            )
        )
    return tuple(sorted(steps, key=lambda s: (-s.passes, -s.g2, -s.errors, s.operation)))


def deepest(steps: tuple[Step, ...]) -> Step | None:
    """The failing step whose errors no failing child explains; None when nothing fails."""
    suspects = [step for step in steps if step.passes]
    leaves = [
        step
        for step in suspects
        if not any(
            child.parent == step.operation and child.errors >= SHARE_OF_PARENT * step.errors
            for child in suspects
            if child is not step
        )
    ]
    return max(leaves, key=lambda s: (s.g2, s.errors), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tally:
    calls: int
    errors: int
    self_s: float


def _per_step(spans: pd.DataFrame) -> dict[tuple[str, str], _Tally]:
    """Calls, errors and own seconds of each (service, operation)."""
    if spans.empty:
        return {}
    table = pd.DataFrame(
        {
            "service": spans["service"],
            "operation": spans["operation"],
            "errors": failing(spans),
            "self_s": self_time(spans),
        }
    )
    grouped = table.groupby(["service", "operation"])
    sums = grouped.agg(calls=("errors", "size"), errors=("errors", "sum"), self_s=("self_s", "sum"))
    keys = [(str(service), str(operation)) for service, operation in sums.index.to_list()]
    numbers = zip(
        sums["calls"].to_list(), sums["errors"].to_list(), sums["self_s"].to_list(), strict=True
    )
    return {
        key: _Tally(calls=int(calls), errors=int(errors), self_s=float(self_s))
        for key, (calls, errors, self_s) in zip(keys, numbers, strict=True)
    }


def _parents(spans: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Most frequent parent operation of each step."""
    own = spans["trace_id"] + "/" + spans["span_id"]
    above = (spans["trace_id"] + "/" + spans["parent_id"]).map(
        dict(zip(own, spans["operation"], strict=True))
    )
    seen: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for service, operation, parent in zip(spans["service"], spans["operation"], above, strict=True):
        if isinstance(parent, str):
            seen[str(service), str(operation)][parent] += 1
    return {step: counts.most_common(1)[0][0] for step, counts in seen.items()}
