"""Conform: does the running system obey the contract of keys, reasons, metrics, spans, lines?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from loomtriage.analysis.conformance.gaps import Answer, reasons_spoken
from loomtriage.analysis.conformance.keys import (
    KeyValues,
    correlation_answer,
    key_values,
    keys_answer,
    short_projections,
    traces_answer,
)
from loomtriage.analysis.conformance.lines import line_answers, reasons_on_lines
from loomtriage.analysis.conformance.metrics import (
    metric_answers,
    reasons_on_series,
    work_answers,
)
from loomtriage.analysis.conformance.per_metric import MetricSeen, each_metric
from loomtriage.analysis.conformance.spans import reasons_on_spans, span_answers
from loomtriage.analysis.counters.increases import Increases, measure
from loomtriage.case import Case
from loomtriage.contract.catalogue import METRICS, MetricType
from loomtriage.contract.demands import BY_ID
from loomtriage.model import Finding, Frame, Signal, State, judge
from loomtriage.sources.question import Question
from loomtriage.stages.conform_show import (
    demands_table,
    gaps_table,
    keys_table,
    metrics_table,
)
from loomtriage.stages.result import (
    StageResult,
    caveats_of,
    check_safely,
    finish,
    missing,
)

TRACES_PER_SERVICE = 60
"""Examples to judge by, not a census."""
SHOWN = 4
Check = Callable[[], tuple[Answer, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the signals showed: each frame, and the labels that its source put there itself.

    `since` is where the window begins; before it lies the baseline.
    """

    metrics: Frame
    spans: Frame
    lines: Frame
    increases: Increases
    asked: frozenset[str]
    inferred: frozenset[str]
    since: datetime


def conform(case: Case) -> StageResult:
    """Compare what is seen with the contract; list each gap, where it is and what it costs."""
    seen = look(case)
    findings: list[Finding] = []
    answers: list[Answer] = []
    for signal, frame in (
        ("metrics", seen.metrics),
        ("traces", seen.spans),
        ("logs", seen.lines),
    ):
        if not len(frame):
            findings.append(missing(f"conform.{signal}", frame))
    for name, check in checks(seen).items():
        findings += check_safely(f"conform.{name}", partial(_judged, check, answers))
    keys = _keys(seen)
    gaps = sum(len(answer.gaps) for answer in answers)
    judged = sum(answer.n > 0 for answer in answers)
    result = StageResult(
        stage="conform",
        verdict=judge(findings, headline=_headline(findings, gaps=gaps, judged=judged)),
        tables=(
            demands_table(answers),
            gaps_table(answers),
            metrics_table(_metrics(seen)),
            keys_table(keys),
        ),
        caveats=(
            *case.evidence.caveats,
            *caveats_of(seen.metrics, seen.spans, seen.lines),
        ),
        handover={"gaps": {a.demand: len(a.gaps) for a in answers if a.gaps}},
        source=case.source,
    )
    return finish(case, result)


def look(case: Case) -> Seen:
    """Ask for everything that the contract speaks of, or for what a recording holds of it."""
    ids = frozenset(metric.id for metric in METRICS)
    names = tuple(metric.name for metric in METRICS)
    metrics = case.ask(
        Question(signal=Signal.METRICS, window=case.span, metrics=names, scope=case.scope)
    )
    if metrics.missing == "not_recorded":
        ids = frozenset(m.id for m in METRICS if m.type is not MetricType.HISTOGRAM)
        metrics = case.pull_metrics(*ids)
    spans = case.ask(Question(signal=Signal.TRACES, window=case.window, limit=TRACES_PER_SERVICE))
    if spans.missing == "not_recorded":
        spans = case.pull("spans")
    return Seen(
        metrics=metrics,
        spans=spans,
        lines=case.pull("lines"),
        increases=measure(metrics, window=case.window, baseline=case.baseline),
        asked=ids,
        inferred=frozenset({"env"}) if _env_is_inferred(case) else frozenset(),
        since=case.window.start,
    )


def checks(seen: Seen) -> dict[str, Check]:
    """The checks that the signals which are there allow, by name."""
    metrics, spans, lines = seen.metrics, seen.spans, seen.lines
    found: dict[str, Check] = {}
    if len(metrics):
        found["metrics_contract"] = lambda: metric_answers(
            metrics.data, asked=seen.asked, inferred=seen.inferred
        )
        found["metrics_work"] = lambda: work_answers(metrics.data, seen.increases)
    if len(spans):
        found["spans_contract"] = lambda: span_answers(spans.data)
    if len(lines):
        worked = sum(sum(seen.increases.total(name)) for name in ("processed", "failed"))
        found["lines_contract"] = lambda: line_answers(lines.data, worked=worked)
    if len(metrics) or len(spans) or len(lines):
        found["reasons"] = lambda: reasons_spoken(
            (
                *reasons_on_series(metrics.data, metrics.caveats),
                *reasons_on_spans(spans.data),
                *reasons_on_lines(lines.data),
            )
        )
        found["keys"] = lambda: (keys_answer(_keys(seen), short_projections(spans.data)),)
        found["pivots"] = lambda: (
            correlation_answer(spans.data, lines.data),
            traces_answer(spans.data, lines.data),
        )
    return found


def _keys(seen: Seen) -> tuple[KeyValues, ...]:
    return key_values(seen.metrics.data, seen.spans.data, seen.lines.data, inferred=seen.inferred)


def _metrics(seen: Seen) -> tuple[MetricSeen, ...]:
    return each_metric(
        seen.metrics.data, asked=seen.asked, inferred=seen.inferred, since=seen.since
    )


def _judged(check: Check, answers: list[Answer]) -> tuple[Finding, ...]:
    found = check()
    answers += found
    return tuple(_finding(answer) for answer in found if answer.n)


def _finding(answer: Answer) -> Finding:
    demand = BY_ID[answer.demand]
    says = f"{demand.must}."
    state = State.OK
    if answer.gaps:
        state = State.BAD if demand.breaks else State.WARN
        listed = "; ".join(map(str, answer.gaps[:SHOWN]))
        more = f"; and {len(answer.gaps) - SHOWN} more" if len(answer.gaps) > SHOWN else ""
        says = f"{demand.must}? No: {listed}{more}. {demand.loses}"
    return Finding(
        check=f"conform.{demand.id}",
        state=state,
        says=f"{says} {answer.note}".strip(),
        value=float(len(answer.gaps)),
        unit="gaps",
        threshold=0.0,
        n=answer.n,
    )


def _headline(findings: list[Finding], *, gaps: int, judged: int) -> str:
    gone = [f.check.partition(".")[2] for f in findings if f.state is State.NO_DATA]
    tail = f" Not judged, without data: {', '.join(gone)}." if gone else ""
    if not judged:
        return f"Nothing could be compared with the contract.{tail}"
    failing = sum(f.state in (State.WARN, State.BAD) for f in findings)
    if not failing:
        return f"The system obeys the contract: {judged} demands, no gap.{tail}"
    verb, gap = "is" if failing == 1 else "are", "gap" if gaps == 1 else "gaps"
    return f"{failing} of {judged} demands {verb} not met, {gaps} {gap}.{tail}"


def _env_is_inferred(case: Case) -> bool:
    """Whether the evidence says that it read env from elsewhere than the series."""
    return any(text.startswith("env=") for text in case.evidence.caveats)
