"""Tables of the conform stage."""

from __future__ import annotations

from collections.abc import Sequence

from loomtriage.analysis.conformance.gaps import Answer
from loomtriage.analysis.conformance.keys import KeyValues
from loomtriage.analysis.conformance.per_metric import MetricSeen
from loomtriage.contract.demands import BY_ID, LOST_WITHOUT, MAX_SERIES
from loomtriage.report.tables import Table

VALUES_SHOWN = 6


def demands_table(answers: Sequence[Answer]) -> Table:
    """One row for each demand: met or not, and over how many things."""
    rows = tuple(
        (
            answer.demand,
            BY_ID[answer.demand].must,
            "nothing to judge" if not answer.n else "no" if answer.gaps else "yes",
            f"{len(answer.gaps)}",
            f"{answer.n}",
            answer.note,
        )
        for answer in answers
    )
    return Table(
        id="demands",
        title="What the contract demands",
        columns=("demand", "must hold", "holds", "gaps", "n", "measured"),
        rows=rows,
    )


def metrics_table(metrics: Sequence[MetricSeen]) -> Table:
    """One row for each metric of the catalogue: is it there, and what is wrong with it?"""
    rows = tuple(
        (
            one.metric.name,
            str(one.state),
            _seen(one),
            _labels(one),
            "" if one.absent else f"{one.most}",
            "" if one.absent else f"{one.targets}",
            "" if one.resets is None else f"{one.resets}",
            _lost(one),
        )
        for one in metrics
    )
    return Table(
        id="metrics",
        title="Every metric of the catalogue",
        columns=("metric", "state", "seen", "labels", "series", "targets", "resets", "note"),
        rows=rows,
        note=f"Series: on the target that has most, buckets once; {MAX_SERIES.value:.0f} are "
        "allowed. Resets: how often a counter fell in baseline and window; a gauge may.",
    )


def gaps_table(answers: Sequence[Answer]) -> Table:
    """One row for each gap: what, where, how often, and what it costs."""
    rows = tuple(
        (gap.what, gap.where, f"{gap.seen} of {gap.of}", BY_ID[answer.demand].loses)
        for answer in answers
        for gap in answer.gaps
    )
    return Table(
        id="gaps",
        title="Gaps",
        columns=("what", "where", "seen", "what triage loses"),
        rows=rows,
    )


def keys_table(keys: Sequence[KeyValues]) -> Table:
    """Values of each shared key, side by side."""
    rows = tuple(
        (one.key, *(_values(told) for told in (one.metrics, one.traces, one.logs))) for one in keys
    )
    return Table(
        id="keys",
        title="Shared keys",
        columns=("key", "metrics", "traces", "logs"),
        rows=rows,
        note="Aliases are mapped; the gaps name the ones that were met.",
    )


def _values(told: frozenset[str] | None) -> str:
    if told is None:
        return "no data"
    shown = sorted(told)[:VALUES_SHOWN]
    more = f" and {len(told) - VALUES_SHOWN} more" if len(told) > VALUES_SHOWN else ""
    return ", ".join(shown) + more or "absent"


def _seen(one: MetricSeen) -> str:
    if not one.is_asked:
        return "not asked"
    return "absent" if one.absent else "present"


def _labels(one: MetricSeen) -> str:
    if one.absent:
        return ""
    told = (
        ("missing", one.missing),
        ("unexpected", one.unexpected),
        ("holds ids", one.ids),
        ("too many values", tuple(f"{label} ({count})" for label, count in one.crowded)),
    )
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in told if names) or "as agreed"


def _lost(one: MetricSeen) -> str:
    """Why it is absent, and what nobody sees then."""
    if not one.absent:
        return ""
    lost = LOST_WITHOUT.get(one.metric.id, "")
    return f"{one.absent}; without it {lost}" if lost else one.absent
