"""Locate: which step (service + span name) fails or slows down inside the scope?"""

from __future__ import annotations

from loomtriage.analysis.steps.outcomes import failing
from loomtriage.case import Case
from loomtriage.model import Frame, State, judge
from loomtriage.model.window import iso
from loomtriage.stages.locate_checks import (
    coverage,
    failing_step,
    missing_children,
    no_traces,
    slow_step,
    step_in_words,
)
from loomtriage.stages.locate_show import example_charts, examples_table, steps_table
from loomtriage.stages.locating import Locating, measure_traces
from loomtriage.stages.result import StageResult, caveats_of, check_safely, finish

TRACE_IDS_HANDED_ON = 50


def locate(case: Case) -> StageResult:
    """Compare the steps of the window's traces with the baseline's and hand the deepest one on."""
    frame = case.pull("spans")
    return finish(case, _located(case, frame) if len(frame) else _blind(case, frame))


def _blind(case: Case, frame: Frame) -> StageResult:
    findings = check_safely("locate.traces", lambda: (no_traces(case, frame),))
    return StageResult(
        stage="locate",
        verdict=judge(
            findings, headline="Traces are missing; metrics and logs become the main chain."
        ),
        charts=example_charts(None) if case.pictures else (),
        tables=(steps_table(()), examples_table(None)),
        caveats=caveats_of(frame),
        source=case.source,
    )


def _located(case: Case, frame: Frame) -> StageResult:
    found = measure_traces(case, frame)
    step = check_safely("locate.step", lambda: (failing_step(case, found),), *found.frames)
    slow = check_safely("locate.slow_step", lambda: (slow_step(case, found),), *found.frames)
    if found.step and not found.doubts:  # a sure step: too few calls to time them is no gap
        slow = tuple(finding for finding in slow if finding.state is not State.NO_DATA)
    rest = (
        *check_safely("locate.missing_child", lambda: missing_children(case, found), *found.frames),
        *check_safely("locate.coverage", lambda: coverage(found), *found.frames),
    )
    quiet = step[0].state is State.OK and found.slow is not None
    # Without a trace inside the scope there is nothing more to say than that.
    findings = (*step, *slow, *rest) if len(found.spans) else step
    return StageResult(
        stage="locate",
        verdict=judge(findings, headline=(slow if quiet else step)[0].says),
        charts=example_charts(found) if case.pictures else (),
        tables=(steps_table(found.steps), examples_table(found)),
        caveats=found.caveats,
        handover=_handover(found),
        source=case.source,
    )


def _handover(found: Locating) -> dict[str, object]:
    bad = found.spans[failing(found.spans)] if len(found.spans) else found.spans
    first = bad["start"].min() if found.step else None
    return {
        "step": step_in_words(found.step, found.steps),
        "slow_step": step_in_words(found.slow, found.steps),
        "step_doubts": list(found.doubts),
        "trace_ids": list(found.examples.changed),
        "failing_trace_ids": sorted(set(bad["trace_id"]))[:TRACE_IDS_HANDED_ON],
        "first_error_span": "" if first is None else iso(first.to_pydatetime(warn=False)),
        "metric_to_trace": found.coverage.as_json(),
    }
