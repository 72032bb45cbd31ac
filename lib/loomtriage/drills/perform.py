"""Perform: one drill end to end, in eleven steps that each leave a line in the fault journal.

lock        one drill at a time on this lab
preflight   refuse whatever is not the lab at rest; take its digest
baseline    let it work in health
intent      write down how the fault will be taken back
applied     apply it
verified    look for independent proof that it acts
observe     let it stand, then ask the triage, blind, while it still does
reverting   from here on signals wait
reverted    take it back
restored    wait for rest, compare with the digest
close       write down what the drill came to, unless something may still stand
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loomtriage.drills.aftermath import lost, still_standing
from loomtriage.drills.alerts import hear_alerts
from loomtriage.drills.clock import ClockMark
from loomtriage.drills.digest import LabDigest
from loomtriage.drills.drill import Drill
from loomtriage.drills.fault import Inject
from loomtriage.drills.guards import refuse_open_journal
from loomtriage.drills.journal import Journal, kill_at_from_env
from loomtriage.drills.lock import drill_lock
from loomtriage.drills.performance import Performance
from loomtriage.drills.record import Step
from loomtriage.drills.result import DrillResult, TriageAnswer, conclude, write_result
from loomtriage.drills.setup import Setup, Times, Triage
from loomtriage.drills.signals import Interrupted, Signals
from loomtriage.drills.watch import Invalid, watched
from loomtriage.drills.windows import idle_windows
from loomtriage.errors import JournalFailed, Refused, SourceUnavailable
from loomtriage.model import Finding, State
from loomtriage.model.verdict import worst

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState

__all__ = ["Inject", "Times", "TriageAnswer", "kill_at_from_env", "perform"]


@dataclass(slots=True, kw_only=True)
class _Course:
    """How the forward steps and the way back went.

    Attributes:
        invalid: why the drill can prove nothing.
        broke: what the harness itself threw.
        undurable: a step before apply that could not be written.
        left_standing: why the revert failed.
    """

    invalid: str = ""
    broke: str = ""
    undurable: JournalFailed | None = None
    left_standing: str = ""


def perform(  # noqa: PLR0913  (the one entry; each argument is one thing a caller must decide)
    drill: Drill,
    lab: LabState,
    *,
    journal: Journal,
    folder: Path,
    say: Callable[[str], None],
    triage: Triage,
    seed: int = 0,
    times: Times | None = None,
    inject: Inject = Inject.REAL,
    owns_lab: bool = False,
    abort_if: Callable[[], str] = str,
    is_blind: bool = False,
) -> DrillResult:
    """Perform a drill and write `drill.json` into the folder.

    SIGINT, SIGTERM, SIGHUP and SIGQUIT end it early: the fault is taken back first, and the
    result's exit code is the signal's. A second signal waits until all is restored.

    Raises:
        Refused: a rule said no; nothing was touched.
    """
    setup = Setup(
        drill=drill, lab=lab, journal=journal, folder=folder, say=say, triage=triage, seed=seed,
        times=times or Times(), inject=inject, owns_lab=owns_lab, abort_if=abort_if,
        is_blind=is_blind,
    )  # fmt: skip
    with ExitStack() as held:
        signals = held.enter_context(Signals().caught())
        show = Performance(setup, signals)
        held.callback(show.stop_load)
        held.callback(show.dismiss_keeper, is_healed=False)
        _lock(setup, show, held)
        return _perform(setup, show)


def _lock(setup: Setup, show: Performance, held: ExitStack) -> None:
    journal, lab_id = setup.journal, setup.lab.lab_id

    def lock() -> None:
        held.enter_context(drill_lock(journal.home, lab_id))
        refuse_open_journal(journal.home, lab_id)

    known = {"lab_root": str(setup.lab.root), "owns_lab": setup.owns_lab}
    try:
        with show.phase(Step.LOCK):
            journal.act(Step.LOCK, lock, lambda _: known)
    except JournalFailed as error:
        raise Refused(f"{error.message} Nothing was touched.", hint=error.hint) from error


def _perform(setup: Setup, show: Performance) -> DrillResult:
    course = _Course()
    try:
        _preflight(setup, show)
        _forward(setup, show, course)
    except Interrupted:
        pass  # the signal's name stands in `signals.first`
    finally:
        show.signals.defer()
        _take_back(setup, show, course)
    restored = _settle(setup, show, course)
    # A lab that came to rest was seen to have nothing.
    is_sure = show.start is None or restored.state in (State.OK, State.WARN)
    left = course.left_standing or ("" if is_sure else still_standing(setup.lab))
    if left:
        show.notes.append(f"The fault journal stays open for `loomtriage recover`: {left}")
    result = _result(setup, show, course, restored)
    if not left:
        result = _close(setup, result)
    write_result(setup.folder, result)
    if course.undurable is not None:
        error = course.undurable
        raise Refused(f"{error.message} The fault was not applied.", hint=error.hint) from error
    return result


def _preflight(setup: Setup, show: Performance) -> None:
    try:
        with show.phase(Step.PREFLIGHT):
            setup.journal.act(Step.PREFLIGHT, show.preflight, _told)
    except Interrupted:
        raise
    except JournalFailed as error:
        raise Refused(f"{error.message} Nothing was touched.", hint=error.hint) from error
    except Exception as error:
        _note_down(show, Step.CLOSE, refused=_named(error))
        raise


def _forward(setup: Setup, show: Performance, course: _Course) -> None:
    """All steps up to the triage's answer; whatever they throw ends them and is kept."""
    journal = setup.journal
    try:
        with show.phase(Step.BASELINE):
            journal.act(Step.BASELINE, show.baseline, dict)
        with show.phase(Step.INTENT):
            journal.act(Step.INTENT, show.intend, dict)
    except JournalFailed as error:
        show.dismiss_keeper()  # what was never applied needs nobody to take it back
        show.fault, course.undurable = None, error
        return
    except (Invalid, SourceUnavailable) as error:
        course.invalid = str(error).removesuffix(".")
        return
    except Exception as error:  # noqa: BLE001  (whatever breaks, the lab is restored first)
        course.broke = _named(error)
        return
    try:
        _act(setup, show)
    except (Invalid, SourceUnavailable) as error:
        course.invalid = str(error).removesuffix(".")
    except Exception as error:  # noqa: BLE001  (as above)
        course.broke = _named(error)


def _act(setup: Setup, show: Performance) -> None:
    journal, fault = setup.journal, show.fault
    assert fault is not None  # noqa: S101  (intent came before)
    with show.phase(Step.APPLIED):
        journal.act(Step.APPLIED, show.apply)
    with watched(
        renew=show.renew,
        look=show.look,
        end_fault=lambda: fault.revert(fault.planned),
        max_s=setup.drill.budget.max_s,
    ) as alarm:
        with show.phase(Step.VERIFIED):
            journal.act(Step.VERIFIED, show.verify, dict)
        with show.phase(Step.OBSERVE):
            journal.act(Step.OBSERVE, lambda: show.observe(alarm))


def _take_back(setup: Setup, show: Performance, course: _Course) -> None:
    """Revert; needs neither disk nor luck: a journal that fails is noted and not waited for."""
    if show.fault is None:
        return
    with show.phase(Step.REVERTING):
        _note_down(show, Step.REVERTING)
    setup.say("Nothing stands any more." if show.idle else "The fault is taken back.")
    try:
        with show.phase(Step.REVERTED):
            setup.journal.act(Step.REVERTED, show.revert)
    except JournalFailed as error:
        show.notes.append(error.message)
    except Exception as error:  # noqa: BLE001  (told, left to lease or keeper, and to `recover`)
        course.left_standing = _named(error)
        show.dismiss_keeper(is_healed=False)


def _settle(setup: Setup, show: Performance, course: _Course) -> Finding:
    check = "drill.restored"
    if show.start is None:
        return Finding(check=check, state=State.OK, says="Nothing was touched.")
    gone = lost(setup.lab)
    try:
        with show.phase(Step.RESTORED):
            if gone:
                show.stop_load()
                course.invalid = gone
                return Finding(check=check, state=State.NO_DATA, says=f"Cannot be told: {gone}.")
            finding = show.settle()
            digest = {"sha256": show.end.sha256, "parts": show.end.parts} if show.end else {}
            _note_down(show, Step.RESTORED, says=finding.says, digest=digest)
    except Exception as error:  # noqa: BLE001  (a lab that cannot be read was not restored)
        show.stop_load()
        says = f"Whether the lab was restored cannot be told: {_named(error)}"
        return Finding(check=check, state=State.BAD, says=says)
    if course.left_standing:
        says = f"The fault was not taken back: {course.left_standing} Run `loomtriage recover`."
        return Finding(check=check, state=State.BAD, says=says)
    return finding


def _result(setup: Setup, show: Performance, course: _Course, restored: Finding) -> DrillResult:
    interrupted = show.signals.first.name if show.signals.first else ""
    findings = show.expectations()
    if course.broke:
        findings = (
            Finding(check="drill.harness", state=State.ERROR, says=course.broke),
            *findings,
        )
    invalid = (
        course.invalid
        or show.load_ended
        or show.clock.jump_until(ClockMark.now())
        or idle_windows(show.readings, silent=setup.drill.silent)
    )
    state, says = conclude(findings, invalid=invalid, restored=restored, interrupted=interrupted)
    if show.signals.deferred:
        show.notes.append(f"{show.signals.deferred} more signal(s) waited until all was restored.")
    alerts, unknown = hear_alerts(setup.lab, show.phases)
    show.notes += unknown
    return DrillResult(
        id=setup.drill.id, title=setup.drill.title, state=state, says=says,
        expectations=(*findings, restored), witness=tuple(show.witness),
        restored=restored.state in (State.OK, State.WARN), invalid=course.broke or invalid,
        start_digest=show.start.sha256 if show.start else "",
        end_digest=show.end.sha256 if show.end else "",
        phases=tuple(show.phases), notes=tuple(show.notes), triage=show.answer,
        seed=setup.seed, interrupted=interrupted, fits=show.fits, alerts=alerts,
    )  # fmt: skip


def _close(setup: Setup, result: DrillResult) -> DrillResult:
    """Close the journal; a result whose journal stays open says so, and is WARN at least."""
    try:
        setup.journal.write(Step.CLOSE, state=result.state.value, interrupted=result.interrupted)
    except JournalFailed as error:
        says = str(error) if result.state is State.OK else result.says
        state = worst((result.state, State.WARN))
        return replace(result, state=state, says=says, notes=(*result.notes, str(error)))
    return result


def _told(digest: LabDigest) -> dict[str, object]:
    return {"digest": {"sha256": digest.sha256, "parts": digest.parts}}


def _note_down(show: Performance, step: Step, **detail: object) -> None:
    try:
        show.setup.journal.write(step, **detail)
    except JournalFailed as error:
        show.notes.append(error.message)


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"
