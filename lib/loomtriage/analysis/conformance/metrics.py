"""Do the metrics obey the contract: presence, labels, cardinality, sums?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from loomtriage.analysis.conformance.gaps import Answer, Gap, Spoken, counted
from loomtriage.analysis.conformance.series import Series, crowded, per_target, read_series
from loomtriage.analysis.counters.increases import Increases
from loomtriage.contract.catalogue import BY_ID, MetricType
from loomtriage.contract.demands import BULK_FAMILY, LOST_WITHOUT, MAX_SERIES
from loomtriage.contract.targets import TARGET_LABELS


def metric_answers(
    data: pd.DataFrame, *, asked: frozenset[str], inferred: frozenset[str] = frozenset()
) -> tuple[Answer, ...]:
    """Presence, labels and cardinality of the contract's metrics.

    Args:
        data: METRICS table.
        asked: ids that were asked for; what nobody asked for is not missed.
        inferred: labels that the source put there itself, which the series do not carry.
    """
    series = read_series(data, inferred)
    return (
        _present(frozenset(one.metric.id for one in series), asked),
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
    for one in read_series(data):
        reason = one.labels.get("reason", "")
        if reason and reason != "none":
            spoken.append(Spoken(where=one.where, reason=written.get(reason, reason)))
    return tuple(spoken)


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


def _missing_labels(series: Sequence[Series]) -> Answer:
    """Labels of the target are counted over all series: they come from one place."""
    missing: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    for one in series:
        totals["metrics of all targets"] += 1
        totals[one.where] += 1
        for name in TARGET_LABELS:
            if name not in one.labels:
                missing["metrics of all targets", f"label {name}"] += 1
        for name in one.lacks:
            missing[one.where, f"label {name}"] += 1
    return Answer(demand="metrics_labels", n=len(series), gaps=counted(missing, totals))


def _unexpected(series: Sequence[Series]) -> Answer:
    odd = Counter((one.where, f"label {name}") for one in series for name in one.odd)
    totals = Counter(one.where for one in series)
    return Answer(demand="metrics_unexpected", n=len(series), gaps=counted(odd, totals))


def _ids(series: Sequence[Series]) -> Answer:
    found = Counter((one.where, f"label {name}") for one in series for name in one.ids)
    totals = Counter(one.where for one in series)
    return Answer(demand="metrics_pivot", n=len(series), gaps=counted(found, totals))


def _cardinality(series: Sequence[Series]) -> Answer:
    """Series of one metric on one target, and values of one label; buckets count once."""
    counts = per_target(series)
    gaps = [
        Gap(where=f"metrics {name} of {instance}", what=f"{count} series")
        for (name, instance), count in sorted(counts.items())
        if count > MAX_SERIES.value
    ]
    gaps += [
        Gap(where=f"metrics {name}", what=f"{count} values of {label}")
        for (name, label), count in sorted(crowded(series).items())
    ]
    most = max(counts.values(), default=0)
    note = f"At most {most} series a metric and target; {MAX_SERIES.value:.0f} are allowed."
    return Answer(demand="metrics_cardinality", n=len(counts), gaps=tuple(gaps), note=note)


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
