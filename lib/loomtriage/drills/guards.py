"""Guards: which rules say no before a drill touches anything?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loomtriage.drills.drill import Drill
from loomtriage.drills.faults.http import proxy_state
from loomtriage.drills.journal import journals, read
from loomtriage.drills.loopback import refuse_strangers
from loomtriage.drills.rows import Marks, RowCounts, read_marks
from loomtriage.errors import Refused, SourceUnavailable, TriageError
from loomtriage.lab.state import is_alive

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState

ENV = "sandbox"
_START = "Take it down (`loomtriage lab down`) and start it again (`loomtriage lab up --load 0`)."


class NothingToActOn(Refused):
    """The lab lacks what one drill needs; others may find it there."""


def refuse_wrong_target(lab: LabState) -> None:
    """Refuse unless the lab runs and loopback, sentinel, marker and proxy say that it is this one.

    Raises:
        Refused: one of them says otherwise, or cannot be asked.
    """
    urls = (lab.api_url, lab.proxy_url, lab.elastic_url, lab.elastic_direct_url, lab.dsn)
    refuse_strangers(urls)
    if not is_alive(lab):
        raise Refused("The lab does not run: its supervisor is gone.", hint=_START)
    try:
        refuse_marks(read_marks(lab), lab_id=lab.lab_id)
        proxy_state(lab)
    except Refused:
        raise
    except TriageError as error:
        raise Refused(
            f"Whether this is the lab cannot be told: {error.message}", hint=error.hint
        ) from error


def refuse_marks(marks: Marks, *, lab_id: str) -> None:
    """Refuse when the database does not say that it is this lab.

    Raises:
        Refused: its sentinel or its marker says otherwise, or is not there.
    """
    if (marks.project, marks.env) != ("wordloom", ENV):
        found = f"env {marks.env!r} of {marks.project!r}" if marks.env else "no sentinel"
        raise Refused(
            f"The database's environment sentinel says {found}, not {ENV!r} of 'wordloom'.",
            hint="Drills run in the lab only; start one with `loomtriage lab up --load 0`.",
        )
    if marks.lab_id != lab_id:
        found = "the marker of another lab" if marks.lab_id else "no lab marker"
        raise Refused(
            f"The database carries {found}.",
            hint="Take this lab down and start it again.",
        )


def refuse_open_journal(home: Path, lab_id: str) -> None:
    """Refuse while an earlier drill on this lab is unfinished, or a journal cannot be read.

    Raises:
        Refused: so it is; the message names the journal and, where damaged, the byte.
    """
    for path in journals(home):
        contents = read(path)
        whose = contents.records[-1].lab_id if contents.records else lab_id
        if not contents.is_open or whose != lab_id:
            continue
        if contents.damage:
            what = f"is damaged: {contents.damage}"
        else:
            what = f"is open: its drill got as far as {contents.records[-1].step}"
        raise Refused(
            f"Fault journal {path.name} {what}.",
            hint="Run `loomtriage recover`; it takes back whatever still stands.",
        )


def refuse_nothing_to_do(drill: Drill, lab: LabState) -> None:
    """Refuse a drill whose fault has nothing to act on in this lab.

    Raises:
        Refused: so it is, or the lab does not say.
    """
    try:
        lacking = drill.fault.lacks(lab)
    except SourceUnavailable as error:
        raise Refused(
            f"Whether drill {drill.id} has something to act on cannot be told: {error.message}",
            hint=error.hint,
        ) from error
    if lacking:
        raise NothingToActOn(
            f"Drill {drill.id} has nothing to act on: the lab lacks {lacking}.",
            hint="Start a lab of this version with `loomtriage lab up --load 0`.",
        )


def refuse_foreign_writes(before: RowCounts, after: RowCounts) -> None:
    """Somebody else's writes would be counted as the drill's own, and rows would not add up.

    Raises:
        Refused: rows came into the outbox while the drill wrote none.
    """
    came = after.total() - before.total()
    if came:
        raise Refused(
            f"{came} rows came into this lab's outbox while the drill was still at rest.",
            hint="Stop what writes there (a lab started with `lab up --load 0` is quiet).",
        )
