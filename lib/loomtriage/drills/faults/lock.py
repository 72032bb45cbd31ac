"""Lock faults: how does a foreign session keep the outbox's rows locked?

The session belongs to a thread of the runner: when that dies, the server ends the session and
gives its locks back.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from loomtriage.drills.database import owner_session
from loomtriage.drills.fault import Undo
from loomtriage.drills.recovery import Recovery
from loomtriage.errors import SourceUnavailable
from loomtriage.model import Evidence

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState

KIND = "row_lock"
NAME = "batch-report-"
"""What the server shows of the session: a report that somebody forgot to commit."""
_EVERY_S = 0.01
_CONNECTED_WITHIN_S = 5.0
_LOCK = """SELECT id FROM search_outbox_events WHERE status IN ('pending', 'processing')
    AND processed_at IS NULL FOR UPDATE SKIP LOCKED"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLockFault:
    """One open transaction that locks every row that waits."""

    lab: LabState
    planned: Undo

    def apply(self) -> Undo:
        """Start the session, and wait until the server shows it.

        Raises:
            SourceUnavailable: it does not.
        """
        ready = threading.Event()
        threading.Thread(target=self._hold, args=(ready,), name="row lock", daemon=True).start()
        if not ready.wait(_CONNECTED_WITHIN_S):
            raise SourceUnavailable(
                "The session that should hold the locks could not be opened.",
                hint="Look at the log of postgres below the lab's folder.",
            )
        return self.planned

    def _hold(self, ready: threading.Event) -> None:
        # The server ends this session when the fault is taken back; that is its only way out.
        with (
            suppress(psycopg.Error),
            psycopg.connect(
                self.lab.dsn, application_name=NAME + self.planned.fault_id, connect_timeout=3
            ) as session,
        ):
            session.execute(_LOCK)
            ready.set()
            while True:
                time.sleep(_EVERY_S)
                session.execute(_LOCK)

    def witness(self) -> Evidence | None:
        """A session of our own finds rows that wait and are locked by that very session."""
        with owner_session(self.lab) as session, session.transaction(force_rollback=True):
            waiting = session.execute(
                "SELECT count(*) FROM search_outbox_events WHERE status IN ('pending',"
                " 'processing') AND processed_at IS NULL"
            ).fetchone()
            free = len(session.execute(_LOCK).fetchall())
        locked = (int(str(waiting[0])) if waiting else 0) - free
        if locked < 1 or not self.is_active():
            return None
        return Evidence(
            kind="witness",
            ref="pg_locks",
            says=f"A session of our own finds {locked} waiting rows locked, while another session "
            "holds row locks on the outbox in an open transaction.",
        )

    def revert(self, undo: Undo) -> None:
        """End the session at the server, and wait until it is gone."""
        end_session(self.lab, undo.fault_id)

    def is_active(self) -> bool:
        """Whether the server shows the session."""
        return self.planned.fault_id in _sessions(self.lab)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLock:
    """A foreign session locks the outbox rows that wait and does not commit."""

    kind: str = KIND

    def lacks(self, lab: LabState) -> str:
        """Nothing that a lab could be without."""
        return ""

    def bind(self, lab: LabState, *, fault_id: str) -> RowLockFault:
        """The fault on that lab."""
        undo = Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id)
        return RowLockFault(lab=lab, planned=undo)


def end_session(lab: LabState, fault_id: str) -> None:
    """End that fault's session; a no-op when there is none."""
    deadline = time.monotonic() + _CONNECTED_WITHIN_S
    while fault_id in _sessions(lab) and time.monotonic() < deadline:
        with owner_session(lab) as session:
            session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = %s",
                (NAME + fault_id,),
            )
        time.sleep(0.02)


def _sessions(lab: LabState) -> tuple[str, ...]:
    with owner_session(lab) as session:
        found = session.execute(
            "SELECT application_name FROM pg_stat_activity WHERE starts_with(application_name, %s)",
            (NAME,),
        ).fetchall()
    return tuple(str(name).removeprefix(NAME) for (name,) in found)


def _sweep(lab: LabState) -> tuple[str, ...]:
    found = _sessions(lab)
    for fault_id in found:
        end_session(lab, fault_id)
    return found


RECOVERY = Recovery(
    kinds=(KIND,),
    revert=lambda lab, undo: end_session(lab, undo.fault_id),
    standing=_sessions,
    sweep=_sweep,
)
