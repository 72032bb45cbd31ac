"""Restore: how does a journal alone bring the lab back after its runner died?

Every open entry of every fault journal is finished: the fault it names is taken back, whether it
was applied or not, and so is every other fault of a known kind, since whoever holds the drill
lock knows that nobody else may have one. Then the lab is compared with the journalled digest.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from loomtriage.drills.aftermath import UNASKED, still_standing
from loomtriage.drills.digest import take_digest
from loomtriage.drills.fault import Undo
from loomtriage.drills.faults import revert_undo, sweep_all
from loomtriage.drills.journal import Journal, journals, read, sync_folder
from loomtriage.drills.living import lab_of, living_labs
from loomtriage.drills.lock import LabBusy, drill_lock
from loomtriage.drills.record import Contents, Record, Step
from loomtriage.drills.replay import replay_failed
from loomtriage.drills.steady import demand_healed, wait_steady
from loomtriage.drills.waiting import wait_until
from loomtriage.errors import Exit, JournalFailed, TriageError
from loomtriage.lab import down
from loomtriage.lab.state import LabState, is_alive, read_state, state_file
from loomtriage.model import Finding, State
from loomtriage.model.verdict import EXIT_OF_STATE, worst

if TYPE_CHECKING:
    from loomtriage.drills.waiting import Say

REST_WITHIN_S = 40.0
ASK_AGAIN_S = 5.0
"""How long a lab that no journal speaks of may take to show that nothing stands."""
CHECK = "recover"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverReport:
    """What recovery found and did.

    Attributes:
        findings: one for each journal that was open, and for each lab with a fault and no journal.
        busy: journals whose drill is still running, with its holder.
        held: labs without a journal of their own where something may stand, with who holds them.
    """

    findings: tuple[Finding, ...] = ()
    busy: tuple[str, ...] = ()
    held: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """The worst finding; nothing to do is OK."""
        return worst(finding.state for finding in self.findings) if self.findings else State.OK

    @property
    def exit_code(self) -> Exit:
        """Exit code of `loomtriage recover`: a running drill is refused."""
        if self.busy:
            return Exit.REFUSED
        return EXIT_OF_STATE[self.state]

    def __str__(self) -> str:
        lines = [f"{finding.state}: {finding.says}" for finding in self.findings]
        lines += [f"Left alone: {text}" for text in (*self.busy, *self.held)]
        return "\n".join(lines) or "OK: no fault journal is open, and no fault stands."

    def as_json(self) -> dict[str, object]:
        """The form that `--json` prints."""
        return {
            "state": self.state.value,
            "findings": [{"state": f.state.value, "says": f.says} for f in self.findings],
            "busy": list(self.busy),
            "held": list(self.held),
        }


def recover(
    home: Path, *, say: Say, take_down: Callable[[Path, Say], None] | None = None
) -> RecoverReport:
    """Finish every open entry of every fault journal under that home, then sweep its labs.

    Args:
        home: the folder that holds `journals`, `locks` and `labs`.
        say: takes progress lines.
        take_down: ends a lab that was started for one drill; `lab.launch.down` when not given.
    """
    findings: list[Finding] = []
    busy: list[str] = []
    held: list[str] = []
    for path in journals(home):
        contents = read(path)
        if not contents.is_open:
            continue
        say(f"Fault journal {path.name} is {'damaged' if contents.damage else 'open'}.")
        try:
            findings.append(_finish(home, path, contents, say=say, take_down=take_down))
        except LabBusy as error:
            busy.append(error.message)
        except TriageError as error:
            findings.append(_found(State.ERROR, f"{path.name}: {error}"))
    opened = [contents for path in journals(home) if (contents := read(path)).is_open]
    spoken_for = {contents.records[-1].lab_id for contents in opened if contents.records}
    labs, unreadable = living_labs(home)
    findings += [_found(State.ERROR, str(error)) for error in unreadable]
    for lab in labs:
        try:
            if lab.lab_id not in spoken_for:
                findings += _sweep(home, lab, say=say)
            elif not (findings or busy):
                held.append(f"Lab {lab.root.name}: a drill began meanwhile.")
        except LabBusy as error:
            held.append(f"Lab {lab.root.name}: {error.message}")
        except TriageError as error:
            findings.append(_found(State.ERROR, f"Lab {lab.root.name}: {error}"))
    return RecoverReport(findings=tuple(findings), busy=tuple(busy), held=tuple(held))


def _finish(
    home: Path,
    path: Path,
    contents: Contents,
    *,
    say: Say,
    take_down: Callable[[Path, Say], None] | None,
) -> Finding:
    if contents.damage:
        return _finish_unreadable(home, path, contents, say=say)
    first = contents.records[0]
    with drill_lock(home, first.lab_id):
        contents = read(path)  # its drill may have written on until it gave the lock back
        if not contents.is_open:
            return _found(State.OK, f"{path.name}: its drill finished meanwhile.")
        journal = Journal.resume(path, contents)
        lab = lab_of(first.detail, first.lab_id)
        if lab is None:
            _write(journal, Step.CLOSE, by="recover", lab_gone=True, interrupted=True)
            _clear_own(home, first)
            return _found(State.OK, f"{path.name}: its lab is gone, and its fault with it.")
        finding = _bring_back(journal, contents, lab, say=say)
        if first.detail.get("owns_lab"):
            say("The lab that was started for this drill is taken down.")
            (take_down or down)(lab.root, say)
        _write(journal, Step.CLOSE, by="recover", state=finding.state.value, interrupted=True)
        _clear_own(home, first)
        return finding


def _clear_own(home: Path, first: Record) -> None:
    """Remove the folder of a lab that was started for one drill, about 50 MB, once it is down."""
    root = Path(str(first.detail.get("lab_root", "")))
    if not first.detail.get("owns_lab") or root.parent != home / "labs":
        return
    if state_file(root).exists():
        try:
            lab = read_state(root)
        except TriageError:
            return  # whose it is cannot be known
        if lab.lab_id != first.lab_id or is_alive(lab):
            return
    shutil.rmtree(root, ignore_errors=True)


def _bring_back(journal: Journal, contents: Contents, lab: LabState, *, say: Say) -> Finding:
    intent, preflight = contents.last(Step.INTENT), contents.last(Step.PREFLIGHT)
    _write(journal, Step.REVERTING, by="recover")
    undo = Undo.from_json(intent.detail["undo"]) if intent else None
    _heal(lab, undo)
    _write(journal, Step.REVERTED, by="recover")
    waited = wait_steady(lab, within_s=REST_WITHIN_S, say=say, pause=time.sleep)
    if preflight and replay_failed(lab, since=datetime.fromisoformat(preflight.at)):
        waited = wait_steady(lab, within_s=REST_WITHIN_S, say=say, pause=time.sleep)
    digest = take_digest(lab)
    told = preflight.detail.get("digest") if preflight else None
    before = told.get("parts") if isinstance(told, Mapping) else None
    differs = digest.differs(before) if isinstance(before, Mapping) else ()
    _write(
        journal,
        Step.RESTORED,
        by="recover",
        digest={"sha256": digest.sha256, "parts": dict(digest.parts)},
        differs=list(differs),
    )
    name = journal.path.name
    if waited.lacking:
        return _found(State.BAD, f"{name}: the lab did not come to rest: {waited.lacking}.")
    if differs:
        return _found(State.BAD, f"{name}: not as before: {'; '.join(differs)}.")
    if before is None:
        return _found(State.OK, f"{name}: nothing had been touched; no fault stands.")
    return _found(State.OK, f"{name}: restored; the lab equals its journalled digest.")


def _heal(lab: LabState, undo: Undo | None) -> None:
    """Take back that fault and all others, twice, and make sure."""
    # What the first round cannot do for want of a service, the second can: the sweep starts it.
    for tolerated in ((TriageError,), ()):
        with suppress(*tolerated):
            if undo is not None:
                revert_undo(lab, undo)
        with suppress(*tolerated):
            sweep_all(lab)
    demand_healed(lab)


def _sweep(home: Path, lab: LabState, *, say: Say) -> tuple[Finding, ...]:
    """Take back what stands in a lab of which no open journal speaks, such as a dead worker."""
    if not still_standing(lab):
        return ()
    with drill_lock(home, lab.lab_id):
        # A lab that just starts or ends does not answer either; what stands, stands on.
        stood = wait_until(
            lambda: still_standing(lab) if is_alive(lab) else "",
            within_s=ASK_AGAIN_S,
            what=f"Asking lab {lab.root.name} again",
            say=say,
        ).lacking
        if not stood:
            return ()
        what = f"what stood {stood}" if stood.startswith(UNASKED) else f"this stood: {stood}"
        say(f"Lab {lab.root.name}, of which no journal speaks: {what}.")
        _heal(lab, None)
    says = f"Lab {lab.root.name}: no journal is open, yet {what[:100]}. Taken back."
    return (_found(State.OK, says),)


def _finish_unreadable(home: Path, path: Path, contents: Contents, *, say: Say) -> Finding:
    """Its last line cannot be known: heal every lab of this home, then set the journal aside."""
    healed = 0
    labs, unreadable = living_labs(home)
    if unreadable:  # a fault may stand behind it, and this journal alone tells that
        raise unreadable[0]
    for lab in labs:
        with drill_lock(home, lab.lab_id):
            say("Every fault of a known kind is taken back.")
            _heal(lab, None)
            waited = wait_steady(lab, within_s=REST_WITHIN_S, say=say, pause=time.sleep)
            if waited.lacking:
                says = f"{path.name}: damaged; its lab did not come to rest: {waited.lacking}."
                return _found(State.BAD, says)
            healed += 1
    path.rename(path.with_suffix(".damaged"))
    sync_folder(path.parent)
    says = (
        f"{path.name}: {contents.damage}; set aside after every fault in {healed} lab(s) was "
        "taken back."
    )
    return _found(State.WARN, says)


def _write(journal: Journal, step: Step, **detail: object) -> None:
    """Write a line, and go on without it: taking a fault back needs no disk."""
    try:
        journal.write(step, **detail)
    except JournalFailed:
        if step is Step.CLOSE:
            raise


def _found(state: State, says: str) -> Finding:
    return Finding(check=CHECK, state=state, says=says)
