"""What a stage leaves: verdict, charts, tables, and what the next stage starts from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from loomtriage.case import Case
from loomtriage.errors import UsageError
from loomtriage.handover import add_handover
from loomtriage.model import Evidence, Finding, Frame, Kind, Scope, State, Suspect, Verdict
from loomtriage.report.canvas import Chart
from loomtriage.report.tables import Table

Shown = TypeVar("Shown", Chart, Table)
_DAMAGED = ("truncated", "partial", "stale", "contaminated", "foreign")
"""First words of the caveats by which a frame is less, or other, than what was asked for."""
_DAMAGED_LINES = tuple(word for word in _DAMAGED if word != "stale")
"""A log file of a worker that is gone is stale in peace, while others are written."""
_COARSE = ("thinned",)
"""Of those by which it is whole, and seen from afar."""
NEXT_STAGE = {
    "preflight": "narrow",
    "conform": "narrow",
    "narrow": "locate",
    "locate": "explain",
    "explain": "retries",
    "retries": "close",
    "close": "incident",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """The outcome of one stage.

    Attributes:
        stage: id of the stage.
        verdict: merged findings.
        charts, tables: what there is to look at, first things first.
        caveats: stated limits of the frames that were used.
        handover: what the next stage starts from, by key.
        conclusion: the cause block of the explain stage, the story of the incident stage.
        source: source spec, for the command of the next stage.
    """

    stage: str
    verdict: Verdict
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    caveats: tuple[str, ...] = ()
    handover: Mapping[str, object] = field(default_factory=dict)
    conclusion: Mapping[str, object] = field(default_factory=dict)
    source: str = ""

    def chart(self, name: str) -> Chart:
        """The chart of that id.

        Raises:
            UsageError: the stage drew none of that name.
        """
        return _pick(self.charts, name, "chart")

    def table(self, name: str) -> Table:
        """The table of that id.

        Raises:
            UsageError: the stage has none of that name.
        """
        return _pick(self.tables, name, "table")

    @property
    def next(self) -> Table:
        """Where to go from here: the next stage's command, and what it starts from."""
        follow = NEXT_STAGE.get(self.stage, "")
        command = f"loomtriage run {follow} --source {self.source}" if follow else ""
        rows = [("command", command)] if command else []
        rows += [(key, _short(value)) for key, value in sorted(self.handover.items())]
        return Table(id="next", title="Next", columns=("what", "value"), rows=tuple(rows), note="")


def finish(case: Case, result: StageResult) -> StageResult:
    """Write the result and the merged handover into the case's run folder, when it has one."""
    if case.folder is None:
        return result
    folder = case.folder / "stages"
    folder.mkdir(mode=0o700, exist_ok=True)
    charts = []
    for chart in result.charts:
        name = f"{result.stage}-{chart.id}.png" if chart.png else ""
        if name:
            (folder / name).write_bytes(chart.png)
        told = {"id": chart.id, "title": chart.title, "alt": chart.alt, "note": chart.note}
        charts.append({**told, "png": name})
    content = {
        "stage": result.stage,
        "verdict": asdict(result.verdict),
        "charts": charts,
        "tables": [asdict(table) for table in result.tables],
        "caveats": list(result.caveats),
        "conclusion": dict(result.conclusion),
    }
    _write_json(folder / f"{result.stage}.json", content)
    add_handover(case.folder, result.stage, result.handover)
    return result


def load_verdict(content: Mapping[str, object]) -> Verdict:
    """The verdict back from a stage's JSON."""
    findings = tuple(
        Finding(
            **{
                **raw,
                "state": State(raw["state"]),
                "scope": Scope(**raw["scope"]),
                "evidence": tuple(Evidence(**item) for item in raw["evidence"]),
            }
        )
        for raw in content["findings"]  # type: ignore[attr-defined]
    )
    return Verdict(
        headline=str(content["headline"]),
        state=State(str(content["state"])),
        findings=findings,
        suspects=tuple(Suspect(**raw) for raw in content["suspects"]),  # type: ignore[attr-defined]
    )


def check_safely(
    check: str, run: Callable[[], tuple[Finding, ...]], *frames: Frame
) -> tuple[Finding, ...]:
    """Run a check; one that throws is ERROR, never a pass. The only place that catches it.

    `frames` are what it judges by: see `bounded`.
    """
    try:
        return bounded(run(), *frames)
    except Exception as error:  # noqa: BLE001  (a broken check must not pass for a healthy system)
        says = f"The check itself broke: {type(error).__name__}: {str(error)[:200]}"
        return (Finding(check=check, state=State.ERROR, says=says),)


def bounded(findings: Iterable[Finding], *frames: Frame) -> tuple[Finding, ...]:
    """Findings that promise no more than their frames hold.

    OK by a damaged frame becomes WARN; what the caveat says is added to the sentence, as it is
    for frames that are only coarse.
    """
    damage = tuple(dict.fromkeys(text for frame in frames for text in damage_of(frame)))
    noted = tuple(text for frame in frames for text in frame.caveats if text.startswith(_COARSE))
    return tuple(_bounded(finding, damage, noted) for finding in findings)


def damage_of(frame: Frame) -> tuple[str, ...]:
    """The caveats by which a frame cannot carry an OK."""
    words = _DAMAGED_LINES if frame.kind is Kind.LINES else _DAMAGED
    return tuple(text for text in frame.caveats if text.startswith(words))


def _bounded(finding: Finding, damage: tuple[str, ...], noted: tuple[str, ...]) -> Finding:
    if finding.state is not State.OK or not (damage or noted):
        return finding
    more = f"; and {len(damage) - 1} more limits" if len(damage) > 1 else ""
    limit = "; ".join(text[:200].rstrip(".") for text in (*damage[:1], *noted[:1]))
    return replace(
        finding,
        state=State.WARN if damage else State.OK,
        says=f"{finding.says} By what was seen only: {limit}{more}.",
    )


def missing(check: str, frame: Frame) -> Finding:
    """NO_DATA for an empty frame: why, and what would make data appear."""
    says = f"{frame.origin.source}: {frame.missing or 'empty'}. {frame.hint}".strip()
    return Finding(check=check, state=State.NO_DATA, says=says)


def longer(case: Case) -> str:
    """What would make more data appear where there is too little, if anything can."""
    if case.source.startswith("labs:"):
        return "This folder holds no more, and nothing from before the fault."
    return "Choose longer windows, or give a baseline."


def caveats_of(*frames: Frame) -> tuple[str, ...]:
    """The frames' caveats, each named by its source, without repeats."""
    texts = [f"{frame.origin.source}: {text}" for frame in frames for text in frame.caveats]
    return tuple(dict.fromkeys(texts))


def _pick(items: tuple[Shown, ...], name: str, noun: str) -> Shown:
    for item in items:
        if item.id == name:
            return item
    known = ", ".join(item.id for item in items) or "none"
    raise UsageError(f"This stage has no {noun} {name[:60]!r}.", hint=f"It has {known}.")


def _short(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={inner}" for key, inner in value.items() if inner)[:200]
    return json.dumps(value, ensure_ascii=False, default=str)[:200].strip('"')


def _write_json(path: Path, content: object) -> None:
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True, default=str)
    path.write_text(text + "\n", encoding="utf-8")
