"""The fixed path, headless: every stage from preflight to close; one verdict, one report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loomtriage.case import Case
from loomtriage.errors import NotebookFailed, TriageError
from loomtriage.evidence import Links, secrets_of
from loomtriage.model import Finding, State, judge
from loomtriage.model.verdict import EXIT_OF_STATE
from loomtriage.report.canvas import Chart
from loomtriage.report.page import Page, Section, html, markdown
from loomtriage.report.tables import Table
from loomtriage.runner.execute import Kernel, run_notebook
from loomtriage.runner.folder import Staging, windows_json
from loomtriage.runner.scan import refuse_secrets
from loomtriage.runner.ticking import ticking
from loomtriage.runner.verdict import build_verdict, fitted
from loomtriage.stages import PATH
from loomtriage.stages.result import load_verdict

Say = Callable[[str], None]
TITLES = {
    "preflight": "Preflight: what can be seen",
    "conform": "Conform: does the system obey the contract",
    "narrow": "Narrow: what changed",
    "locate": "Locate: which step",
    "explain": "Explain: what proves it",
    "retries": "Retries: does every row come to an end",
    "close": "Close: what is left, and how to close it out",
    "incident": "Incident: what is there to tell afterwards",
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


def investigate(  # noqa: PLR0913  (what is asked, where, and who runs it)
    folder: Staging,
    *,
    case: Case,
    kernel: Kernel,
    parameters: Mapping[str, str],
    say: Say,
    stages: tuple[str, ...] = (),
) -> Investigation:
    """Run the stages' notebooks on a source and put their results into the staging folder.

    `case` is what `open_case` made of the same parameters: they are valid before the kernel
    sees any of them.
    """
    chosen = stages or PATH
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
        verdict_json=fitted(found.verdict, found.case.source),
        sections=found.sections,
        drill=drill,
        generated_at=datetime.now(UTC),
        sources=tuple(sorted(source_names(found.case).items())),
        next_steps=_next_steps(folder.id),
    )
    folder.write("report.html", html(page))
    folder.write("summary.md", markdown(page))
    refuse_secrets(folder.path, secrets_of(found.case.source))
    return folder.seal(
        {
            "parameters": {k: _portable(v) for k, v in found.parameters.items() if v},
            "sources": source_names(found.case),
            **windows_json(found.case.window, found.case.baseline),
        }
    )


def read_section(
    folder: Path, stage: str, failure: TriageError | None, *, seconds: float
) -> Section:
    """A stage's part of the report, from the result it left; ERROR when it left none."""
    content = _json(folder / "stages" / f"{stage}.json")
    if failure is not None or not content:
        says = failure.message if failure else f"{stage} left no result."
        finding = Finding(check=f"{stage}.notebook", state=State.ERROR, says=says)
        return Section(id=stage, title=TITLES[stage], verdict=judge([finding]), seconds=seconds)
    charts = tuple(
        Chart(
            id=raw["id"],
            title=raw["title"],
            alt=raw["alt"],
            png=_png(folder, raw["png"]),
            note=raw.get("note", ""),  # results of earlier versions have none
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


def source_names(case: Case) -> dict[str, str]:
    """Where the evidence came from, without paths and secrets: `spec`, and a base URL a signal."""
    links: Links = case.evidence.links
    names = {"spec": _portable(case.source)}
    if links.prometheus:
        names["metrics"] = links.prometheus
    if links.jaeger:
        names["traces"] = links.jaeger
    if links.grafana:
        names["grafana"] = links.grafana
    return names


def _next_steps(name: str) -> tuple[str, ...]:
    """What works on the run folder itself, long after the servers have forgotten."""
    return (
        "This page lies in a run folder, which can be asked again; from the folder around it:",
        f"loomtriage path --source run:{name}",
        f"loomtriage verify {name}",
    )


def _portable(value: str) -> str:
    """A parameter without this machine's folders: only the last part of a path stays."""
    kind, colon, rest = value.partition(":")
    return f"{kind}:{Path(rest).name}" if colon and kind in ("run", "labs") else value


def _png(folder: Path, name: str) -> bytes:
    return (folder / "stages" / name).read_bytes() if name else b""


def _json(path: Path) -> dict:  # type: ignore[type-arg]
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
