"""Charts and tables of the locate stage."""

from __future__ import annotations

import pandas as pd

from loomtriage.analysis.steps.clocks import aligned
from loomtriage.analysis.steps.example_traces import durations
from loomtriage.analysis.steps.outcomes import failing
from loomtriage.analysis.steps.ranking import Step
from loomtriage.model.window import iso
from loomtriage.report.canvas import Chart, nothing
from loomtriage.report.tables import Table
from loomtriage.report.waterfall import waterfall
from loomtriage.stages.locating import Locating

SHOWN = 12


def steps_table(steps: tuple[Step, ...]) -> Table:
    """The first steps by rank, with what made them so."""
    return Table(
        id="steps",
        title="Steps, the most surprising errors first",
        columns=(
            "step",
            "under",
            "errors/calls",
            "baseline",
            "signed G²",
            "own time [ms/trace]",
            "share of it",
            "Cliff's δ",
        ),
        rows=tuple(_row(step) for step in steps[:SHOWN]),
        note=(
            "A call is one piece of work, however often it was tried. Own time is a step's "
            "duration without its children, beyond the baseline's; δ says how often a call "
            "takes longer than one of the baseline (-1 to 1)."
        ),
    )


def _row(step: Step) -> tuple[str, ...]:
    pace = step.pace
    compared = step.calls_before > 0
    return (
        str(step),
        step.parent,
        f"{step.errors}/{step.calls}",
        f"{step.errors_before}/{step.calls_before}",
        f"{step.g2:+.0f}" if compared else "no baseline",
        f"{pace.excess_s * 1000:+.1f}" if compared else "no baseline",
        f"{pace.share:.0%}" if compared else "",
        f"{pace.effect:+.2f}" if compared else "",
    )


def examples_table(found: Locating | None) -> Table:
    """Median and worst trace of the changed step, and the healthy twin."""
    rows = []
    if found is not None:
        named = (
            ("median", found.examples.median, found.spans),
            ("worst", found.examples.worst, found.spans),
            ("healthy twin", found.examples.twin, found.before),
        )
        rows = [_example(what, trace_id, spans) for what, trace_id, spans in named if trace_id]
    return Table(
        id="examples",
        title="Example traces",
        columns=("which", "trace id", "start (UTC)", "ms", "failing spans", "status message"),
        rows=tuple(rows),
    )


def _example(what: str, trace_id: str, spans: pd.DataFrame) -> tuple[str, ...]:
    mine = spans[spans["trace_id"] == trace_id]
    bad = mine[failing(mine)]
    message = next((str(m) for m in bad["status_message"] if m), "")
    return (
        what,
        trace_id,
        iso(mine["start"].min().to_pydatetime(warn=False)),
        f"{durations(mine).iloc[0] * 1000:.1f}",
        f"{len(bad)}/{len(mine)}",
        message[:200],
    )


def example_charts(found: Locating | None) -> tuple[Chart, ...]:
    """The median trace above its healthy twin, then the worst one."""
    if found is None or not found.examples.median:
        why = "No trace fails or is slower in the window."
        return (nothing("waterfall", title="Example trace", why=why),)
    median, *worst = found.examples.changed
    twin = found.before[found.before["trace_id"] == found.examples.twin]
    below = ", healthy twin below" if len(twin) else ""
    return (
        waterfall(
            _drawable(found.spans, median),
            id="waterfall",
            title=f"Median trace {median[:16]}…{below}",
            twin=aligned(twin) if len(twin) else None,
        ),
        *(
            waterfall(_drawable(found.spans, one), id="worst", title=f"Worst trace {one[:16]}…")
            for one in worst
        ),
    )


def _drawable(spans: pd.DataFrame, trace_id: str) -> pd.DataFrame:
    return aligned(spans[spans["trace_id"] == trace_id])
