"""Inbox: which alerts were accepted, and what became of each? It survives every kill.

One SQLite file. A delivery is on disk before its sender hears that it was taken: write-ahead log,
synced at each commit.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from loomtriage.errors import UsageError
from loomtriage.watch.payload import Delivery

MAX_TRIES = 3
"""Runs that one acceptance may start."""
MAX_TRIES_EVER = 2 * MAX_TRIES
"""Runs of one case in all, however often its alert is repeated after it failed."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, case_id TEXT NOT NULL, group_key TEXT NOT NULL,
  identities TEXT NOT NULL, payload BLOB NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL,
  not_before REAL NOT NULL, accepted_at REAL NOT NULL, run TEXT NOT NULL, says TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_of_case ON jobs (case_id);
CREATE INDEX IF NOT EXISTS jobs_of_group ON jobs (group_key);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state);
"""


class Kind(StrEnum):
    """What a job does."""

    TRIAGE = "triage"
    CLOSING = "closing"


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Answer(StrEnum):
    """What the sender hears."""

    ACCEPTED = "accepted"
    KNOWN = "known"
    NOTHING_OPEN = "nothing_open"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run to make.

    Attributes:
        id: hash of what makes the delivery the same delivery.
        kind: triage when it fires, closing when it resolves.
        case: hash of group and alerts, the same for both kinds.
        payload: the delivery as it came.
        tries: how often it was started.
        run: id of the run folder, empty until there is one.
        before: run id of the case's triage, for a closing job.
    """

    id: str
    kind: Kind
    case: str
    payload: bytes
    tries: int
    run: str = ""
    before: str = ""


class Inbox:
    """All accepted deliveries, one row each.

    Args:
        path: the SQLite file; its folder is made, private.
        capacity: jobs that may wait or run at once.
        settle_s: how long after `resolved` the closing run waits, so that there is something to
            look at.
    """

    def __init__(self, path: Path, *, capacity: int = 50, settle_s: float = 120.0) -> None:
        self._capacity, self._settle_s = capacity, settle_s
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise UsageError(
                f"The inbox {path.name} cannot be opened ({error}).",
                hint="Give a private, writable folder with --inbox.",
            ) from None

    def accept(self, delivery: Delivery, payload: bytes) -> tuple[Answer, str]:
        """Take a delivery once; it is on disk when this returns ACCEPTED.

        Returns:
            What the sender hears, and the case's id.
        """
        case = _digest(delivery.groupKey, *delivery.identities)
        kind = Kind.TRIAGE if delivery.status == "firing" else Kind.CLOSING
        with self._lock:
            if self._is_known(kind, case):  # the usual repetition, by primary key alone
                return self._repeated(kind, case)
            if kind is Kind.CLOSING:
                case = self._case_of(delivery)
                if not case:
                    return Answer.NOTHING_OPEN, ""
            elif covering := self._covering(delivery):
                return self._repeated(kind, covering)
            if self._is_known(kind, case):
                return Answer.KNOWN, case
            if self._is_full():
                return Answer.FULL, case
            now = time.time()
            later = self._settle_s if kind is Kind.CLOSING else 0.0
            self._db.execute(
                "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, '', '')",
                (
                    _digest(kind, case),
                    kind,
                    case,
                    delivery.groupKey,
                    json.dumps(delivery.identities),
                    payload,
                    JobState.QUEUED,
                    now + later,
                    now,
                ),
            )
            return Answer.ACCEPTED, case

    def take(self) -> Job | None:
        """The oldest job that may start now, marked as running; None when there is none.

        A closing job waits until its case's triage has ended.
        """
        with self._lock:
            row = self._db.execute(
                "SELECT id, kind, case_id, payload, tries FROM jobs AS j "
                "WHERE state = 'queued' AND not_before <= ? AND NOT EXISTS ("
                "  SELECT 1 FROM jobs AS t WHERE t.case_id = j.case_id AND t.id <> j.id "
                "  AND t.kind = 'triage' AND t.state IN ('queued', 'running')) "
                "ORDER BY accepted_at LIMIT 1",
                (time.time(),),
            ).fetchone()
            if row is None:
                return None
            # What may fail comes first: a job that is marked as running must reach its worker.
            job = self._job(row, tries=row[4] + 1)
            self._db.execute(
                "UPDATE jobs SET state = 'running', tries = tries + 1 WHERE id = ?", (row[0],)
            )
            return job

    def end(
        self, job: Job, *, state: JobState, run: str = "", says: str = "", after_s: float = 0.0
    ) -> None:
        """Write down how a job ended; QUEUED gives it another try, `after_s` from now at least."""
        with self._lock:
            self._db.execute(
                "UPDATE jobs SET state = ?, run = ?, says = ?, not_before = ? WHERE id = ?",
                (state, run, says[:500], time.time() + after_s, job.id),
            )

    def interrupted(self) -> tuple[Job, ...]:
        """Jobs that were running when the receiver ended without saying so."""
        with self._lock:
            rows = self._db.execute(
                "SELECT id, kind, case_id, payload, tries FROM jobs WHERE state = 'running'"
            ).fetchall()
            return tuple(self._job(row, tries=row[4]) for row in rows)

    def counts(self) -> Mapping[str, int]:
        """Jobs by state."""
        with self._lock:
            rows = self._db.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall()
        return {state.value: dict(rows).get(state.value, 0) for state in JobState}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _repeated(self, kind: Kind, case: str) -> tuple[Answer, str]:
        """A known delivery came again: news only where it fires on and its run has failed."""
        if kind is Kind.CLOSING:
            return Answer.KNOWN, case
        job = _digest(kind, case)
        found = self._db.execute("SELECT state, tries FROM jobs WHERE id = ?", (job,)).fetchone()
        if found is None or found[0] != JobState.FAILED or found[1] >= MAX_TRIES_EVER:
            return Answer.KNOWN, case
        if self._is_full():
            return Answer.FULL, case
        self._db.execute(
            "UPDATE jobs SET state = 'queued', not_before = ? WHERE id = ?", (time.time(), job)
        )
        return Answer.ACCEPTED, case

    def _is_full(self) -> bool:
        waiting = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')"
        return self._value(waiting) >= self._capacity

    def _is_known(self, kind: Kind, case: str) -> bool:
        found = self._value("SELECT count(*) FROM jobs WHERE id = ?", _digest(kind, case))
        return found > 0

    def _covering(self, delivery: Delivery) -> str:
        """A case of that group that holds all these alerts: some of it resolved, none is new."""
        ours = set(delivery.identities)
        return next((case for case, known in self._of_group(delivery) if ours <= known), "")

    def _case_of(self, delivery: Delivery) -> str:
        """The case that a resolved delivery closes: the newest of its group that shares an alert.

        A group may resolve as a whole after alerts joined it one by one.
        """
        ours = set(delivery.identities)
        return next((case for case, known in self._of_group(delivery) if ours & known), "")

    def _of_group(self, delivery: Delivery) -> Iterator[tuple[str, set[str]]]:
        rows = self._db.execute(
            "SELECT case_id, identities FROM jobs WHERE kind = 'triage' AND group_key = ? "
            "ORDER BY accepted_at DESC",
            (delivery.groupKey,),
        ).fetchall()
        for case, known in rows:
            yield case, set(json.loads(known))

    def _job(self, row: tuple[str, str, str, bytes, int], *, tries: int) -> Job:
        job, kind, case, payload, _ = row
        before = ""
        if kind == Kind.CLOSING:
            found = self._db.execute(
                "SELECT run FROM jobs WHERE case_id = ? AND kind = 'triage'", (case,)
            ).fetchone()
            before = found[0] if found else ""
        return Job(id=job, kind=Kind(kind), case=case, payload=payload, tries=tries, before=before)

    def _value(self, query: str, *values: str) -> int:
        return int(self._db.execute(query, values).fetchone()[0])


def _digest(*parts: str) -> str:
    """A name of our own making: nothing of a payload reaches a path."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]
