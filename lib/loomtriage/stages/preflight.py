"""Preflight: is each signal there, fresh and complete enough to judge by?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from loomtriage.analysis.apart import Apart, clocks_apart, told_far
from loomtriage.analysis.counters.increases import Increases, measure
from loomtriage.case import Case, at_once
from loomtriage.contract.catalogue import BY_ID, METRICS, MetricType
from loomtriage.model import Finding, Frame, Kind, Signal, State, judge
from loomtriage.report.tables import Table
from loomtriage.sources.question import Question
from loomtriage.stages.links import drawn
from loomtriage.stages.preflight_limits import clocks, log_level, samples, work
from loomtriage.stages.preflight_targets import (
    Scraped,
    scraped_targets,
    target_findings,
    targets_table,
)
from loomtriage.stages.preflight_tracing import (
    asked_projection,
    beyond,
    excused,
    read_tracing,
    tracing_findings,
)
from loomtriage.stages.result import (
    StageResult,
    caveats_of,
    check_safely,
    finish,
    missing,
)

_PULLED = tuple(m.id for m in METRICS if m.type is not MetricType.HISTOGRAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A little of everything, as it answered.

    Attributes:
        apart: clocks that could be compared, the farthest first.
        broken: the ERROR of a comparison that threw.
    """

    metrics: Frame
    traces: Frame
    logs: Frame
    rows: Frame
    listed: Frame
    targets: tuple[Scraped, ...]
    increases: Increases
    apart: tuple[Apart, ...]
    broken: tuple[Finding, ...]

    @property
    def frames(self) -> dict[str, Frame]:
        """The four signals by name."""
        return {
            "metrics": self.metrics,
            "traces": self.traces,
            "logs": self.logs,
            "rows": self.rows,
        }


def preflight(case: Case) -> StageResult:
    """Pull a little of everything and say what is missing, stale or thin, and what to do."""
    look = look_at(case)
    frames = look.frames
    findings = preflight_findings(case, look)
    gone = [name for name, frame in frames.items() if not len(frame)]
    worse = sum(f.state in (State.WARN, State.BAD, State.ERROR) for f in findings)
    headline = (
        f"All {len(frames)} signals answered."
        if not gone
        else f"Missing: {', '.join(gone)}. The path goes on with the rest."
    )
    if worse:
        headline += f" {worse} {'thing limits' if worse == 1 else 'things limit'} what they say."
    result = StageResult(
        stage="preflight",
        verdict=judge(findings, headline=headline),
        tables=(targets_table(look.targets), _overview(frames)),
        caveats=(*case.evidence.caveats, *caveats_of(*frames.values())),
        handover={
            "signals": [name for name in frames if name not in gone],
            "clocks": told_far(_beyond(case, look)),
        },
        source=case.source,
    )
    return finish(case, result)


def look_at(case: Case) -> Look:
    """Ask every source once."""
    listing = Question(signal=Signal.METRICS, window=case.window, about=Kind.TARGETS)
    metrics, listed, spans, rows = at_once(
        lambda: case.pull_metrics(*_PULLED),
        lambda: case.ask(listing),
        lambda: case.pull("spans"),
        lambda: case.pull("rows"),
    )
    lines = case.pull("lines")
    apart: list[Apart] = []

    def compare() -> tuple[Finding, ...]:
        apart.extend(clocks_apart(metrics.data, lines.data, rows.data, window=case.window))
        return ()

    broken = check_safely("preflight.clocks", compare)
    return Look(
        metrics=metrics,
        traces=spans,
        logs=lines,
        rows=rows,
        listed=listed,
        targets=scraped_targets(listed, metrics.data),
        increases=measure(metrics, window=case.window, baseline=case.baseline),
        apart=tuple(apart),
        broken=broken,
    )


def preflight_findings(case: Case, look: Look) -> list[Finding]:
    """One finding for each thing that later stages rely on; a check that throws is one ERROR."""
    metrics, traces, logs = look.metrics, look.traces, look.logs
    findings: list[Finding] = []
    told = read_tracing(
        traces,
        logs.data,
        look.increases,
        projection=asked_projection(case),
        apart=look.apart if len(traces) else _beyond(case, look),
    )
    for name, frame in look.frames.items():
        check = f"preflight.{name}"
        excuse = told.excuse if frame is traces else ""
        findings += check_safely(check, partial(_present, check, frame, excuse), frame)
    findings += check_safely(
        "preflight.targets", lambda: _drawn(case, target_findings(look.targets)), look.listed
    )
    if len(metrics):
        findings += check_safely("preflight.samples", lambda: (samples(case, metrics),), metrics)
        findings += check_safely(
            "preflight.work",
            lambda: (work(metrics.data, look.increases, logs.data, look.targets),),
            metrics,
        )
    findings += check_safely("preflight.tracing", lambda: tracing_findings(traces, told), traces)
    findings += check_safely("preflight.log_level", lambda: log_level(logs, look.increases))
    findings += look.broken or check_safely(
        "preflight.clocks", lambda: clocks(look.apart, *look.frames.values())
    )
    return findings


def _drawn(case: Case, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Findings of targets that are down, with where that can be seen."""
    seen = drawn(case, BY_ID["up"], case.asked, says="1 while a target answers")
    return tuple(
        replace(one, evidence=(*one.evidence, *seen)) if one.state is State.BAD else one
        for one in findings
    )


def _beyond(case: Case, look: Look) -> tuple[Apart, ...]:
    return beyond(look.apart, projection=asked_projection(case), window=case.window)


def _present(check: str, frame: Frame, excuse: str) -> tuple[Finding, ...]:
    if frame.missing == "empty" and excuse:
        return (excused(check, excuse),)
    if not len(frame):
        return (missing(check, frame),)
    size = frame.data.shape[1] if frame.kind is Kind.METRICS else len(frame)
    unit = "series" if frame.kind is Kind.METRICS else str(frame.kind)
    says = f"{frame.origin.source} answered with {size} {unit}."
    return (Finding(check=check, state=State.OK, says=says, value=float(size), unit=unit, n=size),)


def _overview(frames: dict[str, Frame]) -> Table:
    rows = tuple(
        (
            name,
            frame.origin.source,
            f"{len(frame)}",
            frame.missing or "",
            frame.hint if frame.missing else "",
            " ".join(frame.caveats)[:300],
        )
        for name, frame in frames.items()
    )
    return Table(
        id="signals",
        title="What answered",
        columns=("signal", "source", "rows", "missing", "fix", "caveats"),
        rows=rows,
    )
