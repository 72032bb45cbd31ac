"""Do the metrics obey the contract: presence, labels, cardinality, sums?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import pandas as pd

from loomtriage.analysis.conformance.gaps import Answer, Gap, Spoken, counted
from loomtriage.analysis.counters.increases import Increases, labels_of
from loomtriage.contract.catalogue import BY_ID, BY_WIRE, Metric, MetricType
from loomtriage.contract.demands import BULK_FAMILY, LOST_WITHOUT, MAX_SERIES, MAX_VALUES
from loomtriage.contract.keys import PIVOTS
from loomtriage.contract.targets import TARGET_LABELS
from loomtriage.model.frame import METRIC_LEVELS

Labels = Mapping[str, str]
_PARTS = ("_bucket", "_count", "_sum")
_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{16,}|\d{9,}", re.IGNORECASE)
_PIVOTS = frozenset(name for key in PIVOTS for name in (key.name, key.attribute, *key.also))


def metric_answers(
    data: pd.DataFrame, *, asked: frozenset[str], inferred: frozenset[str] = frozenset()
) -> tuple[Answer, ...]:
    """Presence, labels and cardinality of the contract's metrics.

    Args:
        data: METRICS table.
        asked: ids that were asked for; what nobody asked for is not missed.
        inferred: labels that the source put there itself, which the series do not carry.
    """
    series: list[tuple[Metric, Labels]] = [
        (metric, {k: v for k, v in labels.items() if k not in inferred})
        for metric, labels in _read(data)
    ]
    return (
        _present(frozenset(metric.id for metric, _ in series), asked),
        _missing_labels(series),
        _unexpected(series),
        _ids(series),
        _cardinality(series),
    )


def work_answers(data: pd.DataFrame, increases: Increases) -> tuple[Answer, ...]:
    """Resets, the sum of attempts, and whether the last success moves with the work."""
    resets = [note for note in increases.caveats if "was reset" in note]
    return (
        Answer(
            demand="metrics_resets",
            n=len(increases.table),
            gaps=tuple(Gap(where="metrics", what=note.partition(":")[0]) for note in resets),
        ),
        _attempts(increases),
        _last_success(data, increases),
    )


def reasons_on_series(data: pd.DataFrame, caveats: Iterable[str]) -> tuple[Spoken, ...]:
    """Reasons as the series wrote them; a source that read an alias says so in a caveat."""
    written = {}
    for text in caveats:
        old, _, new = text.removeprefix("alias: reason=").partition(" is read as ")
        if new and text.startswith("alias: reason="):
            written[new.rstrip(".")] = old
    spoken = []
    for metric, labels in _read(data):
        reason = labels.get("reason", "")
        if reason and reason != "none":
            name = written.get(reason, reason)
            spoken.append(Spoken(where=f"metrics {metric.name}", reason=name))
    return tuple(spoken)


def _read(data: pd.DataFrame) -> list[tuple[Metric, Labels]]:
    """Series of the contract with all their labels, a histogram's parts under its own name."""
    found: list[tuple[Metric, Labels]] = []
    for column in labels_of(data):
        levels = dict(zip(METRIC_LEVELS, column, strict=True))
        name, extra = levels.pop("metric"), levels.pop("extra")
        metric = BY_WIRE.get(name) or BY_WIRE.get(_stem(name))
        pairs = (part.partition("=") for part in extra.split(",") if part)
        labels = {**levels, **{key: value for key, _, value in pairs}}
        if metric is not None:
            found.append((metric, {k: v for k, v in labels.items() if v}))
    return found


def _stem(name: str) -> str:
    return next((name.removesuffix(part) for part in _PARTS if name.endswith(part)), name)


def _present(seen: frozenset[str], asked: frozenset[str]) -> Answer:
    wanted = {name for name in asked if name not in BULK_FAMILY or seen & BULK_FAMILY}
    if not seen & {name for name in asked if name != "up"}:
        return Answer(demand="metrics_present", n=0)
    # A histogram has no series before its first observation.
    idle = {name for name in wanted if BY_ID[name].type is MetricType.HISTOGRAM}
    gaps = tuple(
        Gap(
            where="metrics",
            what=f"{BY_ID[name].name} ({LOST_WITHOUT.get(name, BY_ID[name].says)})",
        )
        for name in sorted(wanted - seen - idle)
    )
    return Answer(demand="metrics_present", n=len(wanted), gaps=gaps)


def _missing_labels(series: list[tuple[Metric, Labels]]) -> Answer:
    """Labels of the target are counted over all series: they come from one place."""
    missing: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    for metric, labels in series:
        totals["metrics of all targets"] += 1
        totals[f"metrics {metric.name}"] += 1
        for name in TARGET_LABELS:
            if name not in labels:
                missing["metrics of all targets", f"label {name}"] += 1
        for name in metric.labels:
            if name not in labels:
                missing[f"metrics {metric.name}", f"label {name}"] += 1
    return Answer(demand="metrics_labels", n=len(series), gaps=counted(missing, totals))


def _unexpected(series: list[tuple[Metric, Labels]]) -> Answer:
    odd: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    for metric, labels in series:
        where = f"metrics {metric.name}"
        totals[where] += 1
        known = {*metric.labels, *TARGET_LABELS, "le", *_PIVOTS}
        for name in sorted(set(labels) - known):
            odd[where, f"label {name}"] += 1
    return Answer(demand="metrics_unexpected", n=len(series), gaps=counted(odd, totals))


def _ids(series: list[tuple[Metric, Labels]]) -> Answer:
    found: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    for metric, labels in series:
        where = f"metrics {metric.name}"
        totals[where] += 1
        for name, value in labels.items():
            if name in _PIVOTS or (name not in TARGET_LABELS and _ID.search(value)):
                found[where, f"label {name}"] += 1
    return Answer(demand="metrics_pivot", n=len(series), gaps=counted(found, totals))


def _cardinality(series: list[tuple[Metric, Labels]]) -> Answer:
    """Series of one metric on one target, and values of one label; buckets count once."""
    sets: dict[tuple[str, str], set[tuple[tuple[str, str], ...]]] = {}
    values: dict[tuple[str, str], set[str]] = {}
    for metric, labels in series:
        plain = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        sets.setdefault((metric.name, labels.get("instance", "")), set()).add(plain)
        for name, value in plain:
            if name not in TARGET_LABELS:
                values.setdefault((metric.name, name), set()).add(value)
    gaps = [
        Gap(where=f"metrics {name} of {instance}", what=f"{len(found)} series")
        for (name, instance), found in sorted(sets.items())
        if len(found) > MAX_SERIES.value
    ]
    gaps += [
        Gap(where=f"metrics {name}", what=f"{len(found)} values of {label}")
        for (name, label), found in sorted(values.items())
        if len(found) > MAX_VALUES.value
    ]
    most = max((len(found) for found in sets.values()), default=0)
    note = f"At most {most} series a metric and target; {MAX_SERIES.value:.0f} are allowed."
    return Answer(demand="metrics_cardinality", n=len(sets), gaps=tuple(gaps), note=note)


def _attempts(increases: Increases) -> Answer:
    failed, retried, lost = (
        sum(increases.total(name)) for name in ("failed", "retry_scheduled", "terminal_failed")
    )
    n = round(failed + retried + lost)
    if not n or abs(failed - retried - lost) < 0.5:
        return Answer(demand="metrics_attempts", n=n)
    what = f"failed {failed:.0f}, retry {retried:.0f}, terminal {lost:.0f}"
    return Answer(demand="metrics_attempts", n=n, gaps=(Gap(where="metrics", what=what),))


def _last_success(data: pd.DataFrame, increases: Increases) -> Answer:
    work = increases.of("processed").groupby(level="instance").sum().sum(axis=1)
    working = [str(name) for name, rows in work.items() if rows > 0]
    gaps = []
    for instance in working:
        told = data.loc[
            :,
            (data.columns.get_level_values("metric") == BY_ID["last_success"].name)
            & (data.columns.get_level_values("instance") == instance),
        ]
        if told.shape[1] and not (told.max().max() > 0):
            gaps.append(Gap(where=f"metrics {BY_ID['last_success'].name}", what=f"0 on {instance}"))
    return Answer(demand="metrics_last_success", n=len(working), gaps=tuple(gaps))
