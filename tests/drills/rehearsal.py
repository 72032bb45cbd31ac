"""Rehearsal: short performances of a drill, here or in a process of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from loomtriage.drills.book import DRILLS
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.fault import Inject
from loomtriage.drills.faults import standing, sweep_all
from loomtriage.drills.faults.http import proxy_state
from loomtriage.drills.journal import journals, open_journal, read
from loomtriage.drills.lock import holder
from loomtriage.drills.perform import Times, TriageAnswer, perform
from loomtriage.drills.record import Point
from loomtriage.drills.restore import recover
from loomtriage.drills.result import DrillResult
from loomtriage.drills.steady import wait_steady
from loomtriage.lab import control
from loomtriage.lab.state import LabState, read_state
from loomtriage.model import Scope, State, Window

SHORT = Times(steady_s=30.0, first_work_s=30.0, baseline_s=1.5, fault_s=2.0, recovery_s=0.3)
# For drills whose counters are judged: a busy worker may be late with its gauges, which it
# refreshes once a second.
LONGER = replace(SHORT, baseline_s=2.0, fault_s=4.0)
# For runners that are killed or interrupted: what they saw is not judged.
BRISK = replace(SHORT, baseline_s=0.1, fault_s=0.2, recovery_s=0.1)
# Enough work in short windows, and a lease that a test can wait for.
ES_DOWN = replace(DRILLS.get("es_down", noun="drill"), load=LoadPlan(per_s=20))
PLACEBO = replace(DRILLS.get("placebo", noun="drill"), load=LoadPlan(per_s=20))


def now() -> datetime:
    """This moment, aware UTC."""
    return datetime.now(UTC)


def saying(cause: str, scope: Scope | None = None) -> Callable[[Window, Window], TriageAnswer]:
    """A triage that always gives that answer, and that of `es_down` for the place."""
    where = ES_DOWN.scope if scope is None else scope
    return lambda _window, _baseline: TriageAnswer(cause=cause, state=State.BAD, scope=where)


def rehearse(
    lab: LabState,
    drill: Drill = ES_DOWN,
    *,
    triage: Callable[[Window, Window], TriageAnswer] | None = None,
    times: Times = SHORT,
    inject: Inject = Inject.REAL,
    on_point: Callable[[Point], None] | None = None,
    abort_if: Callable[[], str] = str,
    owns_lab: bool = False,
) -> DrillResult:
    """Perform a drill in short windows; its home is the lab's."""
    home = home_of(lab)
    return perform(
        drill,
        lab,
        journal=open_journal(home, lab_id=lab.lab_id, on_point=on_point),
        folder=Path(tempfile.mkdtemp(dir=home)),
        say=lambda _line: None,
        triage=triage or saying(drill.cause, drill.scope),
        times=times,
        inject=inject,
        abort_if=abort_if,
        owns_lab=owns_lab,
    )


def home_of(lab: LabState) -> Path:
    """The home that holds this lab, its journals and its locks."""
    return lab.root.parent.parent


def states(result: DrillResult) -> Mapping[str, State]:
    """State by check."""
    return {finding.check: finding.state for finding in result.expectations}


def left_behind(lab: LabState) -> list[str]:
    """What a drill left in the lab or in its home, empty when nothing."""
    home = home_of(lab)
    left = [f"fault {fault_id}" for fault_id in standing(lab)]
    left += [path.name for path in journals(home) if read(path).is_open]
    left += [] if proxy_state(lab).listening else ["the proxy does not listen"]
    return left + (["the lock"] if holder(home, lab.lab_id) else [])


def bring_back(lab: LabState) -> str:
    """Undo whatever a failed test left; what still keeps the lab from rest, empty when nothing."""
    sweep_all(lab)
    control.reset(lab)
    recover(home_of(lab), say=lambda _line: None)
    return wait_steady(lab, within_s=40, say=lambda _line: None, pause=time.sleep).lacking


def in_a_process(
    root: Path, sends: Mapping[str, int], drill: Drill = ES_DOWN, *, killed_after_s: float = 60.0
) -> int:
    """Perform in a process that sends itself signals at named points; its exit code.

    A process that a signal killed has the negative number of that signal. The name `triage`
    stands for the moment in which the triage is asked. It is killed after that many seconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["loomtriage.drills.perform", __name__])
    process = context.Process(target=_perform_and_signal, args=(root, dict(sends), drill))
    process.start()
    process.join(killed_after_s)
    if process.exitcode is None:
        process.kill()
        process.join()
        assert killed_after_s < 60, "the runner hangs"
    assert process.exitcode is not None
    return process.exitcode


def _perform_and_signal(root: Path, sends: dict[str, int], drill: Drill) -> None:
    def at(name: object) -> None:
        number = sends.get(str(name))
        if number is not None:
            os.kill(os.getpid(), number)

    def triage(_window: Window, _baseline: Window) -> TriageAnswer:
        at("triage")
        return TriageAnswer(cause=drill.cause, state=State.BAD, scope=drill.scope)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    result = rehearse(read_state(root), drill, triage=triage, times=BRISK, on_point=at)
    os._exit(int(result.exit_code))
