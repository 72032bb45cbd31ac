"""Drills as a user runs them: one lab of their own, the blind path inside, a run folder each."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loomtriage import lab as labs
from loomtriage.analysis.joins import Coverage
from loomtriage.case import open_case
from loomtriage.drills.alerts import first_moments
from loomtriage.drills.book import DRILLS
from loomtriage.drills.drill import Drill
from loomtriage.drills.fault import Inject
from loomtriage.drills.guards import NothingToActOn
from loomtriage.drills.journal import Journal, kill_at_from_env
from loomtriage.drills.latency import measure_latency
from loomtriage.drills.leftovers import sweep_leftovers
from loomtriage.drills.perform import perform
from loomtriage.drills.result import RESULT_FILE, DrillResult, TriageAnswer
from loomtriage.drills.signals import exit_on_signals
from loomtriage.errors import Refused, TriageError, UsageError
from loomtriage.evidence import check_lab_name
from loomtriage.handover import before, read_handover
from loomtriage.lab.state import LabState, read_state
from loomtriage.model import Scope, Signal, State, Window
from loomtriage.model.window import iso, parse_instant
from loomtriage.runner.execute import Kernel, warm_kernel
from loomtriage.runner.folder import Staging, staging, windows_json
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
        error: why it was refused or broke off, None when it came to its end.
    """

    folder: Path | None
    verdict: Mapping[str, object]
    result: DrillResult
    error: TriageError | None = None

    def as_json(self) -> dict[str, object]:
        """The result as `drill.json` keeps it; with an error, its exit code's name is the state."""
        told = self.result.as_json()
        return told if self.error is None else {**told, "state": self.error.exit_code.name}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How drills are to be performed.

    Attributes:
        lab_name: a running lab to use, empty for one of their own.
        seed: draws load, onset, variant and numbers of every drill.
        inject: whether faults really act.
        worker_cmd: somebody else's worker for a lab of their own, empty for ours.
        out: folder that receives the run folders.
    """

    lab_name: str = ""
    seed: int = 0
    inject: Inject = Inject.REAL
    worker_cmd: tuple[str, ...] = ()
    out: Path


def run_drills(names: Sequence[str], order: Order, *, say: Say) -> Iterator[Session]:
    """Perform drills one after the other in one lab, and yield each when its run is sealed.

    The triage is given the lab's random name and two windows, never the drill. A drill that is
    refused or breaks off is told, and the rest goes on. When a drill leaves a lab of our own in
    another state than it found it, or does not come to its end, the next one gets a new lab.

    Raises:
        Refused: the given lab can serve no drill, or a lab of our own cannot be started.
        UsageError: there is no lab of that name.
    """
    drills = [DRILLS.get(name, noun="drill") for name in names]
    exit_on_signals()
    sweep_leftovers(order.out)
    left = list(drills)
    while left:
        with lab_of(order, say) as (state, owned), warm_kernel() as kernel:
            while left:
                drill = left.pop(0)
                say(f"Drill {len(drills) - len(left)} of {len(drills)}.")
                place = _Place(lab=state, owned=owned, kernel=kernel)
                done = _try(drill, order, place=place, say=say)
                yield done
                if done.result.interrupted:
                    return
                if isinstance(done.error, NothingToActOn):
                    continue  # nothing was touched
                if owned and not done.result.restored:
                    break


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    lab: LabState
    owned: bool
    kernel: Kernel


def _try(drill: Drill, order: Order, *, place: _Place, say: Say) -> Session:
    """Perform a drill; its failure becomes what it came to."""
    try:
        return _one(drill, order, place=place, say=say)
    except TriageError as error:
        is_of_lab = isinstance(error, Refused) and not isinstance(error, NothingToActOn)
        if is_of_lab and not place.owned:
            raise  # the next drill would meet the same lab, and the same refusal
        state = State.NO_DATA if isinstance(error, Refused) else State.ERROR
        result = DrillResult(
            id=drill.id, title=drill.title, state=state, says=str(error), seed=order.seed,
            invalid=str(error),
        )  # fmt: skip
        return Session(folder=None, verdict={}, result=result, error=error)


def _one(drill: Drill, order: Order, *, place: _Place, say: Say) -> Session:
    drill, state = drill.drawn(order.seed), place.lab
    with staging(f"drill-{drill.id}", order.out) as folder:
        source = f"lab:{state.root.name}"
        blind = _Blind(folder=folder, kernel=place.kernel, source=source, say=say)
        result = perform(
            drill,
            state,
            journal=Journal(
                settings().home_dir(), lab_id=state.lab_id, on_point=kill_at_from_env()
            ),
            folder=folder.path,
            say=say,
            triage=blind.answer,
            seed=order.seed,
            inject=order.inject,
            owns_lab=place.owned,
        )
        if blind.found is None:
            kept = _seal_alone(folder, result)
            say(f"What the drill itself found is in {kept.name}/{RESULT_FILE}.")
            return Session(folder=None, verdict={}, result=result)
        final = seal(folder, blind.found, drill=_with_latency(folder, result))
        return Session(folder=final, verdict=blind.found.verdict, result=result)


def _with_latency(folder: Staging, result: DrillResult) -> dict[str, object]:
    """The result as the report shows it, with the moments at which each signal saw the fault."""
    drill = result.as_json()
    left = {**before(read_handover(folder.path), ""), **first_moments(result.alerts)}
    moments = measure_latency(drill, left)
    return {**drill, "latency": [moment.as_json() for moment in moments]}


def _seal_alone(folder: Staging, result: DrillResult) -> Path:
    """Keep the result of a drill that was over before the triage could be asked."""
    window = Window(parse_instant(result.phases[0].at), datetime.now(UTC))
    return folder.seal(
        {
            "state": "interrupted",
            "parameters": {},
            "sources": {},
            **windows_json(window, None),
        }
    )


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
            also=_texts(verdict, "also"),
            doubts=_texts(verdict, "doubts"),
            missing=_missing(verdict),
            coverage=_coverage(verdict),
        )


def _texts(verdict: Mapping[str, object], key: str) -> tuple[str, ...]:
    told = verdict[key]
    return tuple(map(str, told)) if isinstance(told, list) else ()


def _coverage(verdict: Mapping[str, object]) -> tuple[Coverage, ...]:
    told = verdict["coverage"]
    edges = sorted(told.items()) if isinstance(told, dict) else []
    return tuple(
        Coverage(
            edge=edge, resolved=one["resolved"], n=one["n"], unresolved=tuple(one["unresolved"])
        )
        for edge, one in edges
    )


def _missing(verdict: Mapping[str, object]) -> tuple[str, ...]:
    told = verdict["missing"]
    signals = [str(one.get("signal", "")) for one in told] if isinstance(told, list) else []
    return tuple(sorted({name for name in signals if name in set(Signal)}))


@contextmanager
def lab_of(order: Order, say: Say) -> Iterator[tuple[LabState, bool]]:
    """The running lab of that name, or a new one with a random name, taken down at the end."""
    root = settings().home_dir() / "labs"
    if order.lab_name:
        yield _lab_named(order.lab_name, root), False
        return
    own = root / secrets.token_hex(4)
    try:
        yield (
            labs.up(own, ports="auto", say=say, owner_pid=os.getpid(), worker_cmd=order.worker_cmd),
            True,
        )
    finally:
        labs.down(own, say=say)
        # What counts is in the run folder and the fault journal; data and logs are 50 MB a drill.
        shutil.rmtree(own, ignore_errors=True)


def _lab_named(name: str, root: Path) -> LabState:
    try:
        return read_state(root / check_lab_name(name))
    except UsageError as error:
        hint = f"Start one without load: `loomtriage lab up --load 0 --name {name}`."
        raise UsageError(error.message, hint=hint) from None
