"""Engine: what does the triage itself say about a round, on the same form as everybody else?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loomtriage.case import Case, open_case
from loomtriage.errors import TriageError
from loomtriage.report import loose
from loomtriage.report.canvas import Chart
from loomtriage.report.page import Section
from loomtriage.runner.path import read_section
from loomtriage.runner.verdict import build_verdict
from loomtriage.stages import PATH, STAGES
from loomtriage.train.answers import Answers
from loomtriage.train.truth import NOTHING_WRONG, UNKNOWN

MOST_POINTERS = 10
"""As many fit on the form, however many failed rows had lines of their own."""
METRIC_OF: Mapping[str, str] = {"retry": "retry_scheduled", "failed": "terminal_failed"}
"""The counter that an end of an attempt moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the path came to.

    Attributes:
        verdict: content of `verdict.json`.
        charts: those of all stages, in the order of the path.
    """

    verdict: Mapping[str, object]
    charts: tuple[Chart, ...] = field(default=(), repr=False)

    def answers(self) -> Answers:
        """The verdict on the form that people fill in."""
        return answers_of(self.verdict)


def run_path(
    source: str, folder: Path, *, view: Callable[[Case], Case] = lambda case: case, **windows: str
) -> Found:
    """Run the stages of the path in this process; what they leave goes to the folder.

    Args:
        source: spec of the round's telemetry.
        folder: empty, receives tape and handover.
        view: what each stage's case is looked at through.
        windows: `start`, `end` and `baseline` (ISO, UTC); without them the recorded ones.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    given = {"source": source, **windows, "handover": str(folder)}
    case = view(open_case("path", **given))
    sections: list[Section] = []
    for stage in PATH:
        failure: TriageError | None = None
        try:
            STAGES.get(stage, noun="stage")(view(open_case(stage, **given)))
        except TriageError as error:
            failure = error
        sections.append(read_section(folder, stage, failure, seconds=0.0))
    return Found(
        verdict=build_verdict(case, folder, tuple(sections)),
        charts=tuple(chart for section in sections for chart in section.charts),
    )


def answers_of(verdict: Mapping[str, object]) -> Answers:
    """A verdict on the form that people fill in."""
    cause = loose.word(verdict, "cause") or UNKNOWN
    if cause == NOTHING_WRONG:
        return Answers(wrong="no", cause=cause, sure=_sure(verdict))
    scope = {key: str(value) for key, value in loose.mapping(verdict.get("scope")).items()}
    result = scope.get("result", "")
    action = next((loose.word(one, "kind") for one in loose.maps(verdict.get("actions"))), "")
    pointers = [
        loose.word(one, "ref").removeprefix("sha256:")
        for one in loose.maps(verdict.get("evidence"))
        if loose.word(one, "kind") in ("trace", "log_line")
    ]
    return Answers(
        wrong="yes",
        scope=" ".join(f"{k}={v}" for k, v in scope.items() if v and k != "env"),
        step=loose.word(loose.mapping(verdict.get("step")), "operation") or "none",
        cause=", ".join([cause, *map(str, loose.items(verdict.get("also")))]),
        do=f"{action or 'nothing'}{', replay' if result == 'failed' else ''}",
        sure=_sure(verdict),
        because=" ".join([*filter(None, [METRIC_OF.get(result)]), *pointers[:MOST_POINTERS]]),
    )


def _sure(verdict: Mapping[str, object]) -> float:
    value = verdict.get("confidence")
    return float(value) if isinstance(value, int | float) else 0.0
