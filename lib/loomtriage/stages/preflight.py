"""Preflight: is each signal there, fresh and complete enough to judge by?"""

from __future__ import annotations

from functools import partial

from loomtriage.case import Case
from loomtriage.model import Finding, Frame, State, judge
from loomtriage.report.tables import Table
from loomtriage.stages.result import (
    StageResult,
    caveats_of,
    check_safely,
    finish,
    missing,
)

ENOUGH_SAMPLES = 20
"""Scrapes per window below which a change cannot be dated (a counter read twice has no onset)."""


def preflight(case: Case) -> StageResult:
    """Pull a little of everything and say what is missing, stale or thin, and what to do."""
    frames = {
        "metrics": case.pull_metrics("up", "processed"),
        "traces": case.pull("spans"),
        "logs": case.pull("lines"),
        "rows": case.pull("rows"),
    }
    findings: list[Finding] = []
    for name, frame in frames.items():
        check = f"preflight.{name}"
        findings += check_safely(check, partial(_present, check, frame))
    if len(frames["metrics"]):
        findings += check_safely("preflight.targets", lambda: _targets(frames["metrics"]))
        findings += check_safely("preflight.samples", lambda: _samples(case, frames["metrics"]))
    gone = [name for name, frame in frames.items() if not len(frame)]
    headline = (
        f"All {len(frames)} signals answered."
        if not gone
        else f"Missing: {', '.join(gone)}. The path goes on with the rest."
    )
    result = StageResult(
        stage="preflight",
        verdict=judge(findings, headline=headline),
        tables=(_overview(frames),),
        caveats=(*case.evidence.caveats, *caveats_of(*frames.values())),
        handover={"signals": [name for name in frames if name not in gone]},
        source=case.source,
    )
    return finish(case, result)


def _present(check: str, frame: Frame) -> tuple[Finding, ...]:
    if not len(frame):
        return (missing(check, frame),)
    says = f"{frame.origin.source} answered with {len(frame)} {frame.kind}."
    size = len(frame)
    unit = str(frame.kind)
    return (Finding(check=check, state=State.OK, says=says, value=float(size), unit=unit, n=size),)


def _targets(frame: Frame) -> tuple[Finding, ...]:
    """One finding for all targets: which were down at the end of the window."""
    ups = frame.data.loc[:, frame.data.columns.get_level_values("metric") == "up"]
    if ups.empty:
        return ()
    last = ups.ffill().iloc[-1]
    instances = last.index.get_level_values("instance")
    down = sorted({str(name) for name, value in zip(instances, last, strict=True) if value == 0})
    if down:
        listed = ", ".join(down)[:200]
        says = (
            f"{len(down)} of {len(last)} targets are down: {listed}. Start them, or fix the port."
        )
        return (
            Finding(
                check="preflight.targets",
                state=State.BAD,
                says=says,
                value=float(len(down)),
                unit="targets",
                threshold=0.0,
                n=len(last),
            ),
        )
    says = f"All {len(last)} targets are up."
    return (
        Finding(
            check="preflight.targets",
            state=State.OK,
            says=says,
            value=0.0,
            unit="targets down",
            threshold=0.0,
            n=len(last),
        ),
    )


def _samples(case: Case, frame: Frame) -> tuple[Finding, ...]:
    counts = {}
    for name, window in (("window", case.window), ("baseline", case.baseline)):
        if window is None:
            counts[name] = 0
            continue
        data = frame.data[(frame.data.index >= window.start) & (frame.data.index < window.end)]
        counts[name] = int(data.notna().sum().max()) if len(data) else 0
    fewest = min(counts.values())
    says = f"{counts['window']} scrapes in the window, {counts['baseline']} in the baseline"
    stale = [text for text in frame.caveats if text.startswith("stale")]
    if stale:
        state, says = State.NO_DATA, f"{stale[0]} Check that Prometheus runs and scrapes."
    elif fewest >= ENOUGH_SAMPLES:
        state, says = State.OK, f"{says}."
    else:
        state = State.WARN if fewest else State.NO_DATA
        says = f"{says}; below {ENOUGH_SAMPLES} no onset can be dated. Choose longer windows."
    return (
        Finding(
            check="preflight.samples",
            state=state,
            says=says,
            value=float(fewest),
            unit="scrapes",
            threshold=float(ENOUGH_SAMPLES),
            n=sum(counts.values()),
        ),
    )


def _overview(frames: dict[str, Frame]) -> Table:
    rows = tuple(
        (
            name,
            frame.origin.source,
            f"{len(frame)}",
            frame.missing or "",
            " ".join(frame.caveats)[:300],
        )
        for name, frame in frames.items()
    )
    return Table(
        id="signals",
        title="What answered",
        columns=("signal", "source", "rows", "missing", "caveats"),
        rows=rows,
    )
