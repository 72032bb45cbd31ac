"""What `verdict.json` says: stable, versioned, without clocks or run ids."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loomtriage.case import Case
from loomtriage.contract.causes import BY_ID
from loomtriage.handover import before, read_handover
from loomtriage.model import Evidence, Finding, State, worst
from loomtriage.model.finding import PLACES
from loomtriage.report.page import Section
from loomtriage.stages import ASIDE
from loomtriage.stages.checkup import RUNNING
from loomtriage.stages.close import SYSTEM

VERDICT_SCHEMA = 1


def build_verdict(case: Case, folder: Path, sections: tuple[Section, ...]) -> dict[str, object]:
    """The content of `verdict.json`, schema 1: stable, without clocks or run ids."""
    left = before(read_handover(folder), "path")
    concluded = _explained(folder).get("conclusion") or {}
    findings = [finding for section in sections for finding in section.verdict.findings]
    cause, also = str(concluded.get("cause", "unknown")), list(concluded.get("also", []))
    state = _state(sections, cause, findings)
    if state is State.BAD and concluded.get("thin"):
        state = State.WARN  # named by agreeing signals, on fewer events than counts may carry
    coverage = dict(concluded.get("coverage", {}))
    if left.get("metric_to_trace"):
        coverage["metric→trace"] = left["metric_to_trace"]
    scope = left.get("scope") or case.scope.as_json()
    return {
        "schema": VERDICT_SCHEMA,
        "state": str(state),
        "headline": str(concluded.get("headline") or _last_word(sections)),
        "cause": cause,
        "also": also,
        "abstained": bool(concluded.get("abstained", True)),
        "doubts": list(concluded.get("doubts", [])),
        "why": str(concluded.get("why", "" if concluded else "the explain stage left no result")),
        "confidence": concluded.get("confidence", 0.0),
        "scope": scope,
        "step": left.get("step") or {},
        "findings": [_finding(finding) for finding in findings],
        "evidence": _evidence(findings),
        "coverage": coverage,
        "missing": _missing(findings),
        "actions": [] if _is_aside(sections) else _actions((cause, *also), left, concluded),
        "window": case.window.as_json(),
        "baseline": case.baseline.as_json() if case.baseline else None,
    }


def _state(sections: tuple[Section, ...], cause: str, findings: list[Finding]) -> State:
    """Worst stage; but a fault that was found is BAD, whatever else was missing."""
    state = worst(section.verdict.state for section in sections)
    if cause not in ("none", "unknown") and state is not State.ERROR:
        return State.BAD
    if cause == "unknown" and state in (State.OK, State.WARN) and findings:
        return state if _is_aside(sections) else State.WARN
    return state


def _is_aside(sections: tuple[Section, ...]) -> bool:
    """Whether only stages ran that look for no cause: then there is none to miss, nor to act on."""
    return bool(sections) and all(section.id in ASIDE for section in sections)


def _last_word(sections: tuple[Section, ...]) -> str:
    """What the last stage said, where the path stopped before a conclusion."""
    if not sections or any(section.id == "explain" for section in sections):
        return "No stage reached a conclusion."
    said = sections[-1].verdict.headline
    return said if _is_aside(sections) else f"Up to {sections[-1].id}: {said}"


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "check": finding.check,
        "state": str(finding.state),
        "says": finding.says,
        "value": finding.value,
        "unit": finding.unit,
        "threshold": finding.threshold,
        "n": finding.n,
        "scope": finding.scope.as_json(),
    }


def _evidence(findings: list[Finding]) -> list[dict[str, str]]:
    """All that the findings point at, each thing once, by the first who did."""
    once: dict[tuple[str, str, str], Evidence] = {}
    for finding in findings:
        for item in finding.evidence:
            # Two scopes of one panel are two places.
            place = item.url if item.kind in PLACES else ""
            once.setdefault((item.kind, item.ref, place), item)
    return [{"kind": e.kind, "ref": e.ref, "says": e.says, "url": e.url} for e in once.values()]


def _missing(findings: list[Finding]) -> list[dict[str, str]]:
    return [
        {"signal": f.check.rsplit(".", 1)[-1], "check": f.check, "why": f.says}
        for f in findings
        if f.state is State.NO_DATA
    ]


def _actions(
    causes: tuple[str, ...], left: Mapping[str, object], concluded: Mapping[str, Any]
) -> list[dict[str, str]]:
    """What each cause asks for, what is to be done about failed rows, and then to look again.

    A bucket of rows that asks for the same as a cause is the same step, said exactly.
    """
    rows = _close_out(left)
    # The stage may know more of the first cause than what always holds of it.
    known = str((concluded.get("action") or {}).get("says", ""))
    asked: list[dict[str, str]] = []
    for one in (BY_ID[cause] for cause in causes):
        do = one.do if asked else known or one.do
        exact = next((row for row in rows if row["kind"] == one.action), None)
        rows = [row for row in rows if row is not exact]
        step = {"kind": str(one.action), "says": do, "command": ""}
        asked.append({**exact, "says": f"{do} {exact['says']}"} if exact else step)
    again = {
        "kind": "check",
        "says": "Look again once it is done, at the system itself and at no recording of it; the "
        "cause must be none.",
        "command": f"loomtriage path --source {SYSTEM} --last 5m",
    }
    return [*asked, *rows, *([again] if causes[0] not in ("none", "unknown") else ())]


def fitted(verdict: Mapping[str, object], source: str) -> dict[str, object]:
    """The verdict for reading: its commands ask the source of this run, if it can be asked again.

    `verdict.json` names no source, since a recording must give the same one.
    """
    actions = verdict.get("actions")
    if source.partition(":")[0] not in RUNNING or not isinstance(actions, list):
        return dict(verdict)
    filled = [
        {**one, "command": one["command"].replace(f"--source {SYSTEM} ", f"--source {source} ")}
        for one in actions
    ]
    return {**verdict, "actions": filled}


def _close_out(left: Mapping[str, object]) -> list[dict[str, str]]:
    """What is to be done about each bucket of failed rows, as the close stage left it."""
    told = left.get("close_out")
    return [dict(one) for one in told] if isinstance(told, list) else []


def _explained(folder: Path) -> dict:  # type: ignore[type-arg]  # our own file, read key by key
    path = folder / "stages" / "explain.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
