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

from loomtriage.drills.digest import take_digest
from loomtriage.drills.fault import Undo
from loomtriage.drills.faults import revert_undo, sweep_all
from loomtriage.drills.journal import Journal, journals, read, sync_folder
from loomtriage.drills.lock import drill_lock
from loomtriage.drills.record import Contents, Record, Step
from loomtriage.drills.replay import replay_failed
from loomtriage.drills.steady import demand_healed, wait_steady
from loomtriage.errors import Exit, JournalFailed, Refused, TriageError
from loomtriage.lab import down
from loomtriage.lab.state import LabState, is_alive, read_state, state_file
from loomtriage.model import Finding, State
from loomtriage.model.verdict import EXIT_OF_STATE, worst

if TYPE_CHECKING:
    from loomtriage.drills.waiting import Say

REST_WITHIN_S = 40.0
CHECK = "recover"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverReport:
    """What recovery found and did.

    Attributes:
        findings: one for each journal that was open.
        busy: journals whose drill is still running, with its holder.
    """

    findings: tuple[Finding, ...] = ()
    busy: tuple[str, ...] = ()

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
        lines += [f"Left alone: {text}" for text in self.busy]
        return "\n".join(lines) or "OK: no fault journal is open."

    def as_json(self) -> dict[str, object]:
        """The form that `--json` prints."""
        return {
            "state": self.state.value,
            "findings": [{"state": f.state.value, "says": f.says} for f in self.findings],
            "busy": list(self.busy),
        }


def recover(
    home: Path, *, say: Say, take_down: Callable[[Path, Say], None] | None = None
) -> RecoverReport:
    """Finish every open entry of every fault journal under that home.

    Args:
        home: the folder that holds `journals`, `locks` and `labs`.
        say: takes progress lines.
        take_down: ends a lab that was started for one drill; `lab.launch.down` when not given.
    """
    findings: list[Finding] = []
    busy: list[str] = []
    for path in journals(home):
        contents = read(path)
        if not contents.is_open:
            continue
        say(f"Fault journal {path.name} is {'damaged' if contents.damage else 'open'}.")
        try:
            findings.append(_finish(home, path, contents, say=say, take_down=take_down))
        except Refused as error:
            busy.append(error.message)
        except TriageError as error:
            findings.append(_found(State.ERROR, f"{path.name}: {error.message} {error.hint}"))
    return RecoverReport(findings=tuple(findings), busy=tuple(busy))


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
        lab = _lab_of(first.detail, first.lab_id)
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


def _finish_unreadable(home: Path, path: Path, contents: Contents, *, say: Say) -> Finding:
    """Its last line cannot be known: heal every lab of this home, then set the journal aside."""
    healed = 0
    for lab in _living_labs(home):
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


def _lab_of(detail: Mapping[str, object], lab_id: str) -> LabState | None:
    """The journal's lab, None when it is gone or another one has taken its folder."""
    try:
        lab = read_state(Path(str(detail.get("lab_root", ""))))
    except TriageError:
        return None
    if lab.lab_id != lab_id:
        return None
    return lab if is_alive(lab) or _answers(lab) else None


def _answers(lab: LabState) -> bool:
    from loomtriage.drills.faults.http import proxy_state

    try:
        proxy_state(lab)
    except TriageError:  # nobody, or whoever has the port since it died
        return False
    return True


def _living_labs(home: Path) -> tuple[LabState, ...]:
    found = []
    for root in sorted((home / "labs").glob("*")):
        try:
            lab = read_state(root)
        except TriageError:
            continue
        if is_alive(lab):
            found.append(lab)
    return tuple(found)


def _write(journal: Journal, step: Step, **detail: object) -> None:
    """Write a line, and go on without it: taking a fault back needs no disk."""
    try:
        journal.write(step, **detail)
    except JournalFailed:
        if step is Step.CLOSE:
            raise


def _found(state: State, says: str) -> Finding:
    return Finding(check=CHECK, state=state, says=says)
