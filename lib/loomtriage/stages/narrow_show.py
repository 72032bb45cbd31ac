"""Charts and tables of the narrow stage."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from loomtriage.case import Case
from loomtriage.contract import catalogue
from loomtriage.report import charts
from loomtriage.report.canvas import Chart
from loomtriage.report.tables import Table
from loomtriage.stages.narrowing import Narrowing

Points = list[tuple[datetime, float]]


def suspects_table(found: Narrowing) -> Table:
    """The patterns that passed the gate, by round."""
    rows = tuple(
        (
            str(p.round),
            str(p),
            f"{p.observed:.0f}",
            f"{p.expected:.1f}",
            f"{p.g2:+.0f}",
            f"{(p.observed + 0.5) / (p.expected + 0.5):.1f}×",
        )
        for p in found.patterns
    )
    note = (
        "Signed two-rate Poisson G²; each next round is what the rounds before leave unexplained."
    )
    return Table(
        id="suspects",
        title="Label patterns that changed",
        columns=("round", "pattern", "observed", "expected", "signed G²", "factor"),
        rows=rows,
        note=note if rows else "No pattern passed the gate.",
    )


def leaves_table(found: Narrowing) -> Table:
    """Counter increases by label, at most 40 rows."""
    keep = found.increases.table
    keep = keep[(keep["observed"] > 0) | (keep["baseline"] > 0)].reset_index()
    implied = {metric.name: metric.result for metric in catalogue.METRICS}
    keep["result"] = keep["result"].where(keep["result"] != "", keep["metric"].map(implied))
    columns = ["metric", "projection", "op", "reason", "result"]
    grouped = keep.groupby(columns, as_index=False)[["observed", "baseline"]].sum()
    rows = tuple(
        (*(str(row[name]) for name in columns), f"{row['observed']:.0f}", f"{row['baseline']:.0f}")
        for _, row in grouped.iterrows()
    )
    return Table(
        id="increases",
        title="Increases by label",
        columns=(*columns, "window", "baseline"),
        rows=rows[:40],
        note="Counter increases, reset-safe, summed over instances.",
    )


def narrow_charts(case: Case, found: Narrowing) -> tuple[Chart, ...]:
    """Attempts by how they ended, then lag and oldest age, over baseline and window."""
    grown = charts.increases(
        _attempts(found),
        id="increase_by_reason",
        title="Attempts by how they ended",
        unit="attempts",
        window=case.window,
        baseline=case.baseline,
    )
    gauges = []
    for name in ("lag", "oldest_age"):
        metric = catalogue.BY_ID[name]
        gauges.append(
            charts.gauges(
                _gauge(found, metric.name),
                id=name,
                title=f"{metric.says[0].upper()}{metric.says[1:]}",
                unit=metric.unit,
                window=case.window,
                baseline=case.baseline,
            )
        )
    return (grown, *gauges)


def _attempts(found: Narrowing) -> dict[str, Points]:
    """One cumulative curve per result, op, reason and projection, summed over instances."""
    data = found.frame.data
    curves: dict[str, Points] = {}
    for metric in ("processed", "retry_scheduled", "terminal_failed"):
        index = found.increases.of(metric).index
        result = catalogue.BY_ID[metric].result
        keys = index.to_frame(index=False)[["op", "reason", "projection"]].astype(str)
        for key, mine in keys.groupby(list(keys.columns), sort=True):
            total = whole(data[[index[place] for place in mine.index]]).sum(axis=1)
            if total.iloc[-1] > total.iloc[0]:
                name = " ".join(
                    part for part in map(str, (result, *key)) if part not in ("", "none")
                )
                curves[name] = _points(total)
    return curves


def whole(counters: pd.DataFrame) -> pd.DataFrame:
    """Counters without gaps, so that their sum does not jump where one of them has no sample.

    A target that is scraped a moment after the others had its first value all along; a series
    that misses two scrapes of the first one was born at zero.
    """
    seen = counters.notna().cumsum()
    born = seen.ge(2).idxmax()[seen.iloc[-1] >= 2].min()
    early = counters.columns[(seen.ge(1).idxmax() <= born).to_numpy()]
    filled = counters.ffill()
    filled[early] = filled[early].bfill()
    return filled.fillna(0.0)


def _gauge(found: Narrowing, name: str) -> dict[str, Points]:
    """One curve per projection; workers see the same table, so copies merge by maximum."""
    data = found.frame.data
    mine = data.loc[:, data.columns.get_level_values("metric") == name]
    curves: dict[str, Points] = {}
    for projection in sorted(set(mine.columns.get_level_values("projection"))):
        chosen = mine.columns.get_level_values("projection") == projection
        series = mine.loc[:, chosen].max(axis=1).dropna()
        if len(series):
            curves[str(projection)] = _points(series)
    return curves


def _points(series: pd.Series) -> Points:
    moments = pd.DatetimeIndex(series.index).to_pydatetime()
    return list(zip(moments, (float(value) for value in series), strict=True))
