"""The fixed path, headless: preflight, narrow, locate, explain; one verdict, one report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loomtriage.case import Case, open_case
from loomtriage.contract.causes import BY_ID
from loomtriage.errors import NotebookFailed, TriageError
from loomtriage.evidence import Links
from loomtriage.model import Finding, State, Verdict, judge, worst
from loomtriage.model.verdict import EXIT_OF_STATE
from loomtriage.report.canvas import Chart
from loomtriage.report.page import Page, Section, html, markdown
from loomtriage.report.tables import Table
from loomtriage.runner.execute import Kernel, run_notebook
from loomtriage.runner.folder import Staging, windows_json
from loomtriage.runner.scan import refuse_secrets
from loomtriage.runner.ticking import ticking
from loomtriage.stages import STAGES
from loomtriage.stages.result import load_verdict

Say = Callable[[str], None]
VERDICT_SCHEMA = 1
TITLES = {
    "preflight": "Preflight: what can be seen",
    "narrow": "Narrow: what changed",
    "locate": "Locate: which step",
    "explain": "Explain: what proves it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Investigation:
    """What the stages left in a staging folder.

    Attributes:
        parameters: as given, by name.
        case: the case that was opened to validate them (windows, links, sources).
        sections: one per stage that left a result.
        verdict: content of `verdict.json`.
    """

    parameters: Mapping[str, str]
    case: Case
    sections: tuple[Section, ...]
    verdict: Mapping[str, object]

    @property
    def state(self) -> State:
        """State of the run."""
        return State(str(self.verdict["state"]))

    @property
    def exit_code(self) -> int:
        """Exit code of the command that ran it."""
        return int(EXIT_OF_STATE[self.state])


def investigate(
    folder: Staging,
    *,
    kernel: Kernel,
    parameters: Mapping[str, str],
    say: Say,
    stages: tuple[str, ...] = (),
) -> Investigation:
    """Run the stages' notebooks on a source and put their results into the staging folder.

    Parameters are validated before the kernel sees any of them.

    Raises:
        UsageError: a parameter does not make sense.
        BundleDamaged: the recorded run does not match its manifest.
    """
    case = open_case("path", **parameters)
    chosen = stages or STAGES.names
    sections: list[Section] = []
    say(f"window {case.window}")
    with ticking(say, "the kernel's start"):
        kernel.move_to(folder.path)
    for stage in chosen:
        started = time.monotonic()
        failure: TriageError | None = None
        given = {**parameters, "handover": "."}
        try:
            with ticking(say, stage):
                run_notebook(stage, folder.path, kernel=kernel, parameters=given)
        except NotebookFailed as error:
            failure = error
        section = read_section(folder.path, stage, failure, seconds=time.monotonic() - started)
        sections.append(section)
        say(f"{stage:<10}{section.verdict.state:<8}{section.verdict.headline}")
    verdict = build_verdict(case, folder.path, tuple(sections))
    folder.write_json("verdict.json", verdict)
    return Investigation(
        parameters=parameters, case=case, sections=tuple(sections), verdict=verdict
    )


def seal(
    folder: Staging, found: Investigation, *, drill: Mapping[str, object] | None = None
) -> Path:
    """Write report and summary, scan for secrets, seal the run folder; its final path.

    Raises:
        ContractBroken: a secret or a machine's path was found in an artifact.
    """
    page = Page(
        title=f"Triage report {folder.id}",
        verdict_json=found.verdict,
        sections=found.sections,
        drill=drill,
        generated_at=datetime.now(UTC),
        sources=tuple(sorted(_source_names(found.case).items())),
        next_steps=tuple(_next_steps(found)),
    )
    folder.write("report.html", html(page))
    folder.write("summary.md", markdown(page))
    refuse_secrets(folder.path)
    return folder.seal(
        {
            "parameters": {k: _portable(v) for k, v in found.parameters.items() if v},
            "sources": _source_names(found.case),
            **windows_json(found.case.window, found.case.baseline),
        }
    )


def build_verdict(case: Case, folder: Path, sections: tuple[Section, ...]) -> dict[str, object]:
    """The content of `verdict.json`, schema 1: stable, without clocks or run ids."""
    left = _json(folder / "handover.json")
    concluded = _json(folder / "stages" / "explain.json").get("conclusion") or {}
    findings = [finding for section in sections for finding in section.verdict.findings]
    state = _state(sections, str(concluded.get("cause", "unknown")), findings)
    cause = str(concluded.get("cause", "unknown"))
    coverage = dict(concluded.get("coverage", {}))
    if left.get("metric_to_trace"):
        coverage["metric→trace"] = left["metric_to_trace"]
    scope = left.get("scope") or case.scope.as_json()
    return {
        "schema": VERDICT_SCHEMA,
        "state": str(state),
        "headline": str(concluded.get("headline", "No stage reached a conclusion.")),
        "cause": cause,
        "also": concluded.get("also", []),
        "abstained": bool(concluded.get("abstained", True)),
        "why": str(concluded.get("why", "" if concluded else "the explain stage left no result")),
        "confidence": concluded.get("confidence", 0.0),
        "scope": scope,
        "step": left.get("step") or {},
        "findings": [_finding(finding) for finding in findings],
        "evidence": [
            {"kind": e.kind, "ref": e.ref, "says": e.says, "url": e.url}
            for finding in findings
            for e in finding.evidence
        ],
        "coverage": coverage,
        "missing": _missing(findings),
        "actions": _actions(cause),
        "window": case.window.as_json(),
        "baseline": case.baseline.as_json() if case.baseline else None,
    }


def _state(sections: tuple[Section, ...], cause: str, findings: list[Finding]) -> State:
    """Worst stage; but a fault that was found is BAD, whatever else was missing."""
    state = worst(section.verdict.state for section in sections)
    if cause not in ("none", "unknown") and state is not State.ERROR:
        return State.BAD
    if cause == "unknown" and state in (State.OK, State.WARN) and findings:
        return State.WARN
    return state


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


def _missing(findings: list[Finding]) -> list[dict[str, str]]:
    return [
        {"signal": f.check.rsplit(".", 1)[-1], "check": f.check, "why": f.says}
        for f in findings
        if f.state is State.NO_DATA
    ]


def _actions(cause: str) -> list[dict[str, str]]:
    entry = BY_ID[cause]
    if cause in ("none", "unknown"):
        return [{"kind": str(entry.action), "says": entry.do, "command": ""}]
    return [
        {"kind": str(entry.action), "says": entry.do, "command": ""},
        {
            "kind": "check",
            "says": "Look again once it is done; the verdict must be `none`.",
            "command": "loomtriage path --source live --last 5m",
        },
    ]


def read_section(
    folder: Path, stage: str, failure: TriageError | None, *, seconds: float
) -> Section:
    """A stage's part of the report, from the result it left; ERROR when it left none."""
    content = _json(folder / "stages" / f"{stage}.json")
    if failure is not None or not content:
        says = failure.message if failure else f"{stage} left no result."
        finding = Finding(check=f"{stage}.notebook", state=State.ERROR, says=says)
        return _plain(stage, judge([finding]), seconds)
    charts = tuple(
        Chart(
            id=raw["id"],
            title=raw["title"],
            alt=raw["alt"],
            light_png=_png(folder, raw["light"]),
            dark_png=_png(folder, raw["dark"]),
        )
        for raw in content["charts"]
    )
    tables = tuple(
        Table(
            id=raw["id"],
            title=raw["title"],
            columns=tuple(raw["columns"]),
            rows=tuple(tuple(row) for row in raw["rows"]),
            note=raw["note"],
        )
        for raw in content["tables"]
    )
    return Section(
        id=stage,
        title=TITLES[stage],
        verdict=load_verdict(content["verdict"]),
        charts=charts,
        tables=tables,
        caveats=tuple(content["caveats"]),
        seconds=seconds,
    )


def _plain(stage: str, verdict: Verdict, seconds: float) -> Section:
    return Section(
        id=stage,
        title=TITLES[stage],
        verdict=verdict,
        charts=(),
        tables=(),
        caveats=(),
        seconds=seconds,
    )


def _source_names(case: Case) -> dict[str, str]:
    links: Links = case.evidence.links
    names = {"spec": _portable(case.source)}
    if links.prometheus:
        names["metrics"] = links.prometheus
    if links.jaeger:
        names["traces"] = links.jaeger
    return names


def _next_steps(found: Investigation) -> list[str]:
    window = found.case.window.as_json()
    return [
        (
            f"loomtriage path --source {_portable(found.case.source)} "
            f"--start {window['start']} --end {window['end']}"
        ),
        "loomtriage verify RUN_FOLDER",
    ]


def _portable(value: str) -> str:
    """A parameter without this machine's folders: only the last part of a path stays."""
    kind, colon, rest = value.partition(":")
    return f"{kind}:{Path(rest).name}" if colon and kind in ("run", "labs") else value


def _png(folder: Path, name: str) -> bytes:
    return (folder / "stages" / name).read_bytes() if name else b""


def _json(path: Path) -> dict:  # type: ignore[type-arg]
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
