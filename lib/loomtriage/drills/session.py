"""One drill as a user runs it: a lab of its own, the blind path inside, one run folder."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loomtriage import lab as labs
from loomtriage.case import open_case
from loomtriage.drills.book import DRILLS
from loomtriage.drills.drill import Drill
from loomtriage.drills.fault import Inject
from loomtriage.drills.journal import Journal, kill_at_from_env
from loomtriage.drills.perform import perform
from loomtriage.drills.result import DrillResult, TriageAnswer
from loomtriage.drills.signals import exit_on_signals
from loomtriage.evidence import check_lab_name
from loomtriage.lab.state import LabState, read_state
from loomtriage.model import Scope, State, Window
from loomtriage.model.window import iso
from loomtriage.runner.execute import Kernel, warm_kernel
from loomtriage.runner.folder import Staging, staging
from loomtriage.runner.path import Investigation, investigate, seal
from loomtriage.settings import settings

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What is left of one drill.

    Attributes:
        folder: the sealed run folder, None when no triage took place.
        verdict: content of `verdict.json`, empty when no triage took place.
        result: the drill's own result.
    """

    folder: Path | None
    verdict: Mapping[str, object]
    result: DrillResult


def run_drill(  # noqa: PLR0913  (one argument per option of the command)
    name: str, *, lab_name: str, seed: int, inject: Inject, out: Path, say: Say
) -> Session:
    """Start a lab (or take the running one of that name), perform the drill, seal the run.

    The triage is given the lab's random name and two windows, never the drill.

    Raises:
        Refused: a safety rule said no; nothing was touched.
    """
    drill: Drill = DRILLS.get(name, noun="drill")
    exit_on_signals()
    home = settings().home_dir()
    with (
        staging(f"drill-{name}", out) as folder,
        _lab(lab_name, say) as (state, owned),
        warm_kernel() as kernel,
    ):
        blind = _Blind(folder=folder, kernel=kernel, source=f"lab:{state.root.name}", say=say)
        result = perform(
            drill,
            state,
            journal=Journal(home, lab_id=state.lab_id, on_point=kill_at_from_env()),
            folder=folder.path,
            say=say,
            triage=blind.answer,
            seed=seed,
            inject=inject,
            owns_lab=owned,
        )
        if blind.found is None:
            return Session(folder=None, verdict={}, result=result)
        final = seal(folder, blind.found, drill=result.as_json())
        return Session(folder=final, verdict=blind.found.verdict, result=result)


class _Blind:
    """The path as a triage callable; remembers what it found."""

    def __init__(self, *, folder: Staging, kernel: Kernel, source: str, say: Say) -> None:
        self._folder, self._kernel, self._source, self._say = folder, kernel, source, say
        self.found: Investigation | None = None

    def answer(self, window: Window, baseline: Window) -> TriageAnswer:
        parameters = {
            "source": self._source,
            "start": iso(window.start),
            "end": iso(window.end),
            "baseline": iso(baseline.start),
        }
        self.found = investigate(
            self._folder,
            case=open_case("path", **parameters),
            kernel=self._kernel,
            parameters=parameters,
            say=self._say,
        )
        verdict = self.found.verdict
        scope, step = verdict["scope"], verdict["step"]
        return TriageAnswer(
            cause=str(verdict["cause"]),
            state=State(str(verdict["state"])),
            scope=Scope(**scope) if isinstance(scope, dict) else Scope(),
            step=step if isinstance(step, dict) else {},
            headline=str(verdict["headline"]),
        )


@contextmanager
def _lab(name: str, say: Say) -> Iterator[tuple[LabState, bool]]:
    """The running lab of that name, or a new one with a random name, taken down at the end."""
    root = settings().home_dir() / "labs"
    if name:
        yield read_state(root / check_lab_name(name)), False
        return
    own = root / secrets.token_hex(4)
    try:
        yield labs.up(own, ports="auto", say=say, owner_pid=os.getpid()), True
    finally:
        labs.down(own, say=say)
        # What counts is in the run folder and the fault journal; data and logs are 50 MB a drill.
        shutil.rmtree(own, ignore_errors=True)
