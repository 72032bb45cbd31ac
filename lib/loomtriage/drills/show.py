"""Show: what did the recorded performance of a drill come to, ready for a notebook?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from loomtriage.case import open_case
from loomtriage.drills.book import DRILLS
from loomtriage.drills.latency import measure_latency
from loomtriage.drills.result import RESULT_FILE
from loomtriage.errors import BundleDamaged, UsageError
from loomtriage.handover import before, read_handover
from loomtriage.model import Finding, State, Verdict, judge
from loomtriage.report import latency, loose, strip
from loomtriage.report.canvas import Chart, nothing
from loomtriage.report.tables import Table
from loomtriage.settings import shipped
from loomtriage.sources.manifest import NAME as MANIFEST
from loomtriage.sources.manifest import read_manifest
from loomtriage.stages.locate import locate
from loomtriage.stages.narrow import narrow
from loomtriage.stages.result import StageResult

Told = TypeVar("Told")
TABLES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "steps": ("What the drill did", ("step", "began (UTC)", "lasted")),
    "answer": ("What the blind triage said", ("what", "says")),
    "latency": (latency.TITLE, ("moment",)),
}
CHARTS: Mapping[str, str] = {
    "latency": latency.TITLE,
    "increase_by_reason": "What grew, by reason",
    "lag": "Rows that wait",
    "waterfall": "Example trace",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillRun:
    """One performance of a drill, as its run folder tells it.

    Attributes:
        source: spec of the run folder, as given.
        folder: the run folder, None when it is not there.
        lacks: why there is nothing to show, empty when the run is there.
        drill: content of `drill.json`.
        answer: content of `verdict.json`, empty when no triage took place.
        left: what the stages handed over, merged.
        played: stages that were played back for their charts, each once.
    """

    source: str
    folder: Path | None = field(default=None, repr=False)
    lacks: str = ""
    drill: Mapping[str, object] = field(default_factory=dict, repr=False)
    answer: Mapping[str, object] = field(default_factory=dict, repr=False)
    left: Mapping[str, object] = field(default_factory=dict, repr=False)
    played: dict[str, StageResult] = field(default_factory=dict, repr=False, compare=False)

    @property
    def verdict(self) -> Verdict:
        """What the drill came to, its witnesses first; NO_DATA when no run is recorded."""
        if self.lacks:
            return judge((Finding(check="drill.run", state=State.NO_DATA, says=self.lacks),))
        seen = tuple(
            Finding(check="drill.witness", state=State.OK, says=str(says))
            for says in loose.items(self.drill.get("witness"))
        )
        found = tuple(
            Finding(
                check=loose.word(entry, "check"),
                state=loose.state(entry.get("state")),
                says=loose.word(entry, "says"),
            )
            for entry in loose.maps(self.drill.get("expectations"))
        )
        # The drill judged itself when it was performed; that is shown, not judged again.
        return Verdict(
            headline=loose.word(self.drill, "says"),
            state=loose.state(self.drill.get("state")),
            findings=(*seen, *found),
        )

    def table(self, name: str) -> Table:
        """The table of that id: `steps`, `answer` or `latency`.

        Raises:
            UsageError: there is none of that name.
        """
        title, columns = _known(TABLES, name, noun="table")
        if self.lacks:
            return Table(id=name, title=title, columns=columns, rows=(), note=self.lacks)
        if name == "latency" and (told := latency.table(self._moments())):
            return told
        rows = self._steps() if name == "steps" else self._answered()
        return Table(id=name, title=title, columns=columns, rows=rows)

    def chart(self, name: str) -> Chart:
        """The chart of that id; those of the stages are drawn from the recorded answers.

        Raises:
            UsageError: there is none of that name.
        """
        title = _known(CHARTS, name, noun="chart")
        if self.lacks or self.folder is None:
            return nothing(name, title=title, why=self.lacks)
        if name == "latency" and (drawn := latency.chart(self._moments())):
            return drawn
        stage, run = ("locate", locate) if name == "waterfall" else ("narrow", narrow)
        if stage not in self.played:
            self.played[stage] = run(open_case(stage, source=f"run:{self.folder}"))
        return self.played[stage].chart(name)

    @property
    def next(self) -> Table:
        """Commands that go on from here."""
        name = loose.word(self.drill, "id") or self.source.partition(":")[2]
        rows = [("perform it live", f"loomtriage drill {name}")]
        if not self.lacks:
            rows.append(("triage the recorded run", f"loomtriage path --source {self.source}"))
        return Table(id="next", title="Next", columns=("what", "command"), rows=tuple(rows))

    def _moments(self) -> list[dict[str, object]]:
        return [moment.as_json() for moment in measure_latency(self.drill, self.left)]

    def _steps(self) -> tuple[tuple[str, ...], ...]:
        return tuple(
            (
                loose.word(phase, "name"),
                loose.when(phase.get("at")),
                loose.number(phase.get("seconds"), "s"),
            )
            for phase in loose.maps(self.drill.get("phases"))
        )

    def _answered(self) -> tuple[tuple[str, ...], ...]:
        said = strip.read(self.answer)
        rows = (
            ("state", said.state.value),
            ("headline", said.headline),
            ("cause", f"{said.cause} ({said.cause_title}), confidence {said.confidence}"),
            ("also", ", ".join(said.also)),
            ("scope", " ".join(f"{key}={value}" for key, value in said.scope)),
            ("step", said.step),
            ("window", said.window),
            ("baseline", said.baseline),
            *(("missing", f"{gap.signal}: {gap.why}. {gap.hint}".strip()) for gap in said.gaps),
            *(("coverage", f"{edge}: {share}") for edge, share in said.coverage),
            *(("do", doing.says) for doing in said.doing[:1]),
        )
        return tuple(row for row in rows if row[1])


def show_drill(source: str, *, kept: Path | None = None) -> DrillRun:
    """Open the recorded performance of a drill; nothing is performed, nothing is asked.

    Args:
        source: `example:ID`, or `run:DIR` for a run of your own. A drill of the book whose
            example is not recorded yet is shown as exactly that.
        kept: folder of the recorded examples; the shipped one when not given.

    Raises:
        UsageError: the source has another form, names nothing, or is no drill's run.
        BundleDamaged: the run does not match its manifest.
    """
    kind, _, rest = source.partition(":")
    folder = Path(rest).expanduser()
    if kind == "example" and rest in DRILLS:
        folder = (kept or shipped("runbooks/examples")) / rest
        if not (folder / MANIFEST).is_file():
            return DrillRun(source=source, lacks=_not_recorded(rest))
    elif kind != "run" or not rest or not folder.is_dir():
        raise UsageError(
            f"source {source[:80]!r} is no recorded run of a drill.",
            hint=f"Use run:DIR, or example:ID with one of {', '.join(DRILLS)}.",
        )
    read_manifest(folder).verify(folder)
    return DrillRun(
        source=source,
        folder=folder,
        drill=_drill(folder),
        answer=_content(folder / "verdict.json"),
        left=before(read_handover(folder), ""),
    )


def _not_recorded(name: str) -> str:
    return (
        f"No run of {name} is recorded yet. "
        f"`loomtriage drill {name} --example` performs the drill and records it."
    )


def _drill(folder: Path) -> Mapping[str, object]:
    if not (folder / RESULT_FILE).is_file():
        raise UsageError(
            f"{folder.name} holds no {RESULT_FILE}, so it is not a drill's run.",
            hint="Give a run folder that `loomtriage drill` wrote.",
        )
    return _content(folder / RESULT_FILE)


def _content(path: Path) -> Mapping[str, object]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError):
        raise BundleDamaged(
            f"{path.parent.name}/{path.name} cannot be read.",
            hint="Use an untouched copy of the run.",
        ) from None


def _known(told: Mapping[str, Told], name: str, *, noun: str) -> Told:
    if name not in told:
        raise UsageError(
            f"A drill's run has no {noun} {name[:60]!r}.", hint=f"It has {', '.join(told)}."
        )
    return told[name]
