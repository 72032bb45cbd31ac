"""Checkup: does every source answer, and what do preflight and contract say of the last minutes?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from loomtriage.case import Case, open_case
from loomtriage.errors import UsageError
from loomtriage.evidence import SET_BY
from loomtriage.model import Finding, Signal, State, Verdict, Window, judge
from loomtriage.model.window import iso
from loomtriage.stages.conform import conform
from loomtriage.stages.preflight import look_at, preflight_findings
from loomtriage.stages.result import check_safely

LAST = timedelta(minutes=5)
RUNNING = ("live", "lab")
"""Kinds of source that have a now."""


def checkup(source: str) -> Verdict:
    """A sign of life from each source, then the checks of preflight, then the contract in a line.

    Every finding is called `doctor.<topic>` and says what to do.

    Raises:
        UsageError: the source spec makes no sense, or names a recording.
    """
    case = _case(source)
    findings = [_probe(case, signal) for signal in Signal]
    answering = sum(finding.state is State.OK for finding in findings)
    if answering:
        findings += _named(_preflight(case))
        findings += _named(check_safely("doctor.contract", lambda: (_contract(case),)))
    headline = f"{answering} of {len(Signal)} sources answer."
    if not answering and source == "live":
        headline += " Nothing runs here yet: loomtriage lab up starts a lab to try with."
    return judge(findings, headline=headline)


def _case(source: str) -> Case:
    if source.partition(":")[0] not in RUNNING:
        raise UsageError(
            f"doctor looks at what runs now; {source[:60]!r} does not.",
            hint="Use live or lab[:NAME]; of a recording, loomtriage run conform tells the same.",
        )
    window = Window.last(LAST, now=datetime.now(UTC))
    return open_case("doctor", source=source, start=iso(window.start), end=iso(window.end))


def _probe(case: Case, signal: Signal) -> Finding:
    source = case.evidence.sources.get(signal)
    if source is not None:
        return replace(source.probe(), check=f"doctor.{signal}")
    return Finding(
        check=f"doctor.{signal}",
        state=State.NO_DATA,
        says=f"No source of {signal} is configured; set {SET_BY[signal]}.",
    )


def _preflight(case: Case) -> tuple[Finding, ...]:
    """What preflight says beside presence, of which the probe has spoken, and windows."""
    left_out = {"preflight.samples", *(f"preflight.{signal}" for signal in Signal)}
    found = preflight_findings(case, look_at(case))
    return tuple(finding for finding in found if finding.check not in left_out)


def _contract(case: Case) -> Finding:
    verdict = conform(case).verdict
    lists = f"loomtriage run conform --source {case.source} lists them."
    met = verdict.state is State.OK
    return Finding(
        check="doctor.contract",
        state=verdict.state,
        says=verdict.headline if met else f"{verdict.headline} {lists}",
        n=len(verdict.findings),
    )


def _named(findings: tuple[Finding, ...]) -> list[Finding]:
    return [replace(f, check=f"doctor.{f.check.partition('.')[2]}") for f in findings]
