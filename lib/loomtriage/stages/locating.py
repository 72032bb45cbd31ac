"""Locating: what do the traces of a case say about steps, before it is put into words?"""

from __future__ import annotations

from dataclasses import dataclass
from operator import contains

import pandas as pd

from loomtriage.analysis.joins import Coverage, metric_to_trace
from loomtriage.analysis.steps.absent_children import Absence, absences
from loomtriage.analysis.steps.calls import tally
from loomtriage.analysis.steps.clocks import skews
from loomtriage.analysis.steps.example_traces import ExampleTraces, example_traces
from loomtriage.analysis.steps.forest import grow
from loomtriage.analysis.steps.ranking import Step, deepest, rank, slowest
from loomtriage.case import Case
from loomtriage.contract.keys import read_each
from loomtriage.contract.spans import BATCH, ROW
from loomtriage.model import Frame, Kind
from loomtriage.stages.narrowing import failing_rows
from loomtriage.stages.result import caveats_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Locating:
    """Everything that the traces say.

    Attributes:
        spans: of the window, inside the scope.
        before: of the baseline, inside the scope; empty without a baseline.
        steps: ranked.
        step: the deepest failing one; None when nothing fails.
        slow: the one with the most excess own time; None when nothing is slower.
        absent: children that went missing.
        examples: traces of the failing step, else of the slow one.
        coverage: rows that failed by the counters → rows with a failing span.
        doubts: why the traces say less than they seem to, one sentence each.
        caveats: stated limits of what was pulled.
        frames: what was pulled, of window and baseline.
    """

    spans: pd.DataFrame
    before: pd.DataFrame
    steps: tuple[Step, ...]
    step: Step | None
    slow: Step | None
    absent: tuple[Absence, ...]
    examples: ExampleTraces
    coverage: Coverage
    doubts: tuple[str, ...]
    caveats: tuple[str, ...]
    frames: tuple[Frame, Frame]


def measure_traces(case: Case, frame: Frame) -> Locating:
    """Pull the baseline's spans, keep to the scope, and compare step by step."""
    earlier = _before(case, frame)
    spans, before = in_scope(frame.data, case), in_scope(earlier.data, case)
    now, then = tally(spans), tally(before)
    steps = rank(now, then)
    step, slow = deepest(steps), slowest(steps)
    return Locating(
        spans=spans,
        before=before,
        steps=steps,
        step=step,
        slow=slow,
        absent=absences(now, then),
        examples=example_traces(spans, before, step or slow),
        coverage=metric_to_trace(failing_rows(case), spans),
        doubts=_doubts(frame, earlier, has_baseline=then.roots > 0),
        caveats=(*caveats_of(frame, earlier), *_oddities(spans)),
        frames=(frame, earlier),
    )


def in_scope(spans: pd.DataFrame, case: Case) -> pd.DataFrame:
    """Whole traces with a batch or row span that agrees with the scope's env, projection and op.

    A batch of several ops says `mixed` and stays: some of its rows are inside.
    """
    scope = case.scope.as_json()
    wanted = {k: v for k in ("env", "projection", "op") if (v := scope.get(k))}
    if not wanted or spans.empty:
        return spans
    columns = zip(*read_each(tuple(wanted), spans["attributes"]), strict=True)
    allowed = [("", "mixed", value) for value in wanted.values()]
    agrees = pd.Series(
        [all(map(contains, allowed, values)) for values in columns], index=spans.index
    )
    touched = spans["operation"].isin((BATCH, ROW))
    foreign = set(spans.loc[touched & ~agrees, "trace_id"])
    foreign -= set(spans.loc[touched & agrees, "trace_id"])
    return spans[~spans["trace_id"].isin(foreign)]


def _before(case: Case, frame: Frame) -> Frame:
    if case.baseline is not None:
        return case.pull("spans_before")
    return Frame.empty(Kind.SPANS, frame.origin, missing="no_baseline")


def _doubts(frame: Frame, earlier: Frame, *, has_baseline: bool) -> tuple[str, ...]:
    found = []
    if not has_baseline:
        why = earlier.missing or "no span inside the scope"
        found.append(f"there is no baseline of traces ({why}), so the failing share alone ranks")
    for name, one in (("window", frame), ("baseline", earlier)):
        if any(text.startswith("truncated") for text in one.caveats):
            found.append(f"the traces of the {name} are truncated: a sample, not all of them")
        if any(text.startswith("partial") for text in one.caveats):
            found.append(f"the traces of the {name} are incomplete")
    return tuple(found)


def _oddities(spans: pd.DataFrame) -> tuple[str, ...]:
    if spans.empty:
        return ()
    forest = grow(spans)
    found = [f"traces: {skew}" for skew in skews(spans)]
    orphans = int(forest.orphan.sum())
    if orphans:
        found.append(
            f"traces: {orphans} of {len(forest)} spans name a parent that is missing; "
            "it was lost, or lies outside the window."
        )
    doubles = len(spans) - len(forest)
    if doubles:
        found.append(f"traces: {doubles} repeated spans were counted once.")
    return tuple(found)
