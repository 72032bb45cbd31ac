"""Charts and tables of the explain stage."""

from __future__ import annotations

import pandas as pd

from loomtriage.analysis.causes.conclusion import Conclusion
from loomtriage.analysis.templates import Template
from loomtriage.case import Case
from loomtriage.model import Signal
from loomtriage.model.window import iso, parse_instant
from loomtriage.report import charts
from loomtriage.report.canvas import Chart
from loomtriage.report.charts import Mark
from loomtriage.report.tables import Table
from loomtriage.report.text import clip


def timeline_chart(case: Case, picked: list[pd.Series]) -> tuple[Chart, ...]:
    """Metric onset, first error span and first error line on one UTC axis; none without marks."""
    marks = []
    for key, label, signal in (
        ("metric_onset", "metric onset", Signal.METRICS),
        ("first_error_span", "first error span", Signal.TRACES),
    ):
        text = case.handover.get(key)
        if isinstance(text, str) and text:
            marks.append(Mark(label=label, at=parse_instant(text), signal=signal))
    if picked:
        first = min(row["ts"] for row in picked)
        marks.append(Mark(label="first error line", at=first, signal=Signal.LOGS))
    return (
        charts.timeline(
            marks,
            id="timeline",
            title="When each signal saw it",
            window=case.window,
            baseline=case.baseline,
        ),
    )


def still_rejected(conclusion: Conclusion, fired: tuple[Conclusion, ...]) -> tuple[str, ...]:
    """Look-alikes that a rule ruled out, without those that another rule found beside it."""
    found = {other.cause for other in fired}
    return tuple(text for text in conclusion.rejected if text.partition(":")[0] not in found)


def because_table(fired: tuple[Conclusion, ...]) -> Table:
    """The facts that fired each cause, and the look-alikes they rejected."""
    rows = []
    for conclusion in fired:
        rows += [(conclusion.cause, "fired", text) for text in conclusion.because]
        rows += [(conclusion.cause, "rejected", text) for text in still_rejected(conclusion, fired)]
    return Table(
        id="because",
        title="What the decision list saw",
        columns=("cause", "what", "fact"),
        rows=tuple(rows),
    )


def templates_table(templates: tuple[Template, ...]) -> Table:
    """The ten most surprising kinds of log line."""
    rows = tuple(
        (t.key, t.level, f"{t.lines}", f"{t.expected:.1f}", f"{t.g2:+.0f}", _novelty(t))
        for t in templates[:10]
    )
    return Table(
        id="templates",
        title="Kinds of log line",
        columns=("template", "level", "lines", "expected", "signed G²", "novelty"),
        rows=rows,
    )


def _novelty(template: Template) -> str:
    """Whether it is new, and how rare it must have been if it is not."""
    if not template.new or template.rate_below is None:
        return ""
    return f"new (before, fewer than {template.rate_below:.1%} of lines)"


def lines_table(picked: list[pd.Series]) -> Table:
    """The lines that prove it, with file, line number and trace id."""
    rows = tuple(
        (
            iso(row["ts"]),
            f"{row['file']}:{row['line']}",
            str(row["level"]),
            clip(str(row["event"] or row["message"]), 200),
            clip(str(row["fields"].get("error", "") or row["message"]), 300),
            str(row["trace_id"]),
        )
        for row in picked
    )
    return Table(
        id="lines",
        title="Lines that prove it",
        columns=("time (UTC)", "where", "level", "event", "error", "trace id"),
        rows=rows,
    )
