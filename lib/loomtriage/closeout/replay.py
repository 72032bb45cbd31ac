"""Replay: how do exactly the rows of a plan go back to pending, canary first, safely?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field

import psycopg

from loomtriage.closeout import audit
from loomtriage.closeout.batches import Warrant, count_as_planned, replay_batch
from loomtriage.closeout.plan_file import Plan, PlannedRow
from loomtriage.closeout.target import Connection
from loomtriage.contract.reasons import stored_reason
from loomtriage.errors import Exit, Refused

LOCK = ("loomtriage close-out", "replay")
LOCK_PATIENCE_S = 5.0
"""The server needs a moment to see that a killed operator is gone."""
MOST_FAILED_AGAIN = 10
MOST_CANARIES = 20
"""Rows tried as a canary in a bucket whose first rows changed since the plan."""
LOOK_EVERY_S = 1.0
POLL_S = 0.2
UNSETTLED = ("pending", "processing")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast, and how patient.

    Attributes:
        rows_per_s: 0 lifts the limit.
        batch: rows of one transaction.
        canary_s: how long a canary may take to be done.
        watch_s: how long the rest may take to settle before the report.
    """

    rows_per_s: float = 50.0
    batch: int = 100
    canary_s: float = 60.0
    watch_s: float = 60.0


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a replay came to.

    Attributes:
        replayed: rows put back by this run.
        before: rows that the same plan had put back earlier.
        skipped: rows left alone, why -> ids.
        stopped: why it did not go on, empty when it went through.
        settled: what became of all rows of the plan, count by status.
    """

    replayed: int = 0
    before: int = 0
    skipped: dict[str, list[str]] = field(default_factory=dict)
    stopped: str = ""
    settled: Mapping[str, int] = field(default_factory=dict)

    @property
    def exit_code(self) -> Exit:
        """OK only when all that was replayed is done and nothing stopped it."""
        undone = sum(count for status, count in self.settled.items() if status != "done")
        if not self.settled and not self.stopped:
            return Exit.NO_DATA
        return Exit.BAD if self.stopped or undone or self.skipped else Exit.OK

    def as_json(self) -> dict[str, object]:
        """The fields by name."""
        return asdict(self)


def dry_run(connection: Connection, plan: Plan) -> Mapping[str, int]:
    """What a replay would do now: rows still as planned, changed since, and replayed before."""
    done = audit.already(connection, plan.digest()) if _has_audit(connection) else frozenset()
    left = [row for row in plan.rows if row.id not in done]
    ready = count_as_planned(connection, plan.table, left) if left else 0
    return {"ready": ready, "changed": len(left) - ready, "before": len(done)}


def replay(
    connection: Connection, plan: Plan, warrant: Warrant, *, pace: Pace, say: Say
) -> Outcome:
    """Replay the plan: one row of each bucket first, the rest only when those were done.

    Every batch is one transaction that holds the rows and their audit; running the same plan
    again goes on where it was, and has no second effect.

    Raises:
        Refused: somebody else replays, or the database has no audit table.
    """
    audit.refuse_without_audit(connection)
    with _Lock(connection):
        run = _Run(connection, plan, warrant, pace=pace, say=say)
        try:
            run.go()
        except _Stop as stop:
            run.outcome.stopped = str(stop)
        return run.finish()


class _Stop(Exception):
    """The replay must not go on; its text says why."""


class _Lock:
    """One replay at a time, as long as this session lives."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        deadline = time.monotonic() + LOCK_PATIENCE_S
        while not self._ask("SELECT pg_try_advisory_lock(hashtext(%s), hashtext(%s))"):
            if time.monotonic() > deadline:
                raise Refused(
                    "Somebody else is replaying on this database.",
                    hint="Wait until that replay has ended.",
                )
            time.sleep(POLL_S)

    def __exit__(self, *_error: object) -> None:
        # Without its session the lock is gone anyway.
        with suppress(psycopg.Error):
            self._ask("SELECT pg_advisory_unlock(hashtext(%s), hashtext(%s))")

    def _ask(self, statement: str) -> bool:
        found = self._connection.execute(statement.encode(), LOCK).fetchone()
        return bool(found and found[0])


class _Run:
    """One replay on its way."""

    def __init__(
        self, connection: Connection, plan: Plan, warrant: Warrant, *, pace: Pace, say: Say
    ) -> None:
        self._connection = connection
        self._plan = plan
        self._warrant = warrant
        self._pace = pace
        self._say = say
        self._done = set(audit.already(connection, warrant.plan_sha256))
        self._skipped: set[str] = set()
        self._look_at = 0.0
        self._batch = 0
        self.outcome = Outcome(before=len(self._done))

    def go(self) -> None:
        """Canaries, then the rest.

        Raises:
            _Stop: it must not go on.
        """
        buckets: dict[int, list[PlannedRow]] = {}
        for row in self._plan.rows:
            buckets.setdefault(row.bucket, []).append(row)
        canaries = {number: self._canary(rows) for number, rows in buckets.items()}
        self._wait_for({row_id: number for number, row_id in canaries.items() if row_id})
        rest = [r for r in self._plan.rows if canaries[r.bucket] and r.id not in self._done]
        rest = [row for row in rest if row.id not in self._skipped]
        begun, put = time.monotonic(), 0
        for first in range(0, len(rest), self._pace.batch):
            put += self._put_back(rest[first : first + self._pace.batch])
            self._look()
            if self._pace.rows_per_s > 0:
                time.sleep(max(0.0, begun + put / self._pace.rows_per_s - time.monotonic()))

    def _canary(self, rows: Sequence[PlannedRow]) -> str:
        """Id of the row that goes first in its bucket; empty when the first of them all changed."""
        earlier = next((row.id for row in rows if row.id in self._done), "")
        if earlier:
            return earlier
        for row in rows[:MOST_CANARIES]:
            if self._put_back([row], is_canary=True):
                return row.id
        left = [row.id for row in rows[MOST_CANARIES:]]
        self.outcome.skipped.setdefault("its bucket has no canary: those tried changed", left)
        return ""

    def finish(self) -> Outcome:
        """Wait until the rows have settled, and sum up."""
        outcome = self.outcome
        for row_id, why in self._why_skipped().items():
            outcome.skipped.setdefault(why, []).append(row_id)
        deadline = time.monotonic() + (0.0 if outcome.stopped else self._pace.watch_s)
        while True:
            outcome.settled = self._outcomes()
            open_rows = sum(outcome.settled.get(status, 0) for status in UNSETTLED)
            if not open_rows or time.monotonic() > deadline:
                return outcome
            time.sleep(POLL_S)

    def _put_back(self, rows: Sequence[PlannedRow], *, is_canary: bool = False) -> int:
        self._batch += 1
        put = replay_batch(
            self._connection, self._warrant, rows, batch=self._batch, is_canary=is_canary
        )
        self._done |= put
        self.outcome.replayed += len(put)
        self._skipped |= {row.id for row in rows if row.id not in put}
        what = f"canary of bucket {rows[0].bucket}" if is_canary else f"batch {self._batch}"
        self._say(f"{what}: {len(put)} of {len(rows)} rows back to pending")
        return len(put)

    def _wait_for(self, ids: Mapping[str, int]) -> None:
        """Until each canary is done; one that failed again, or hangs, stops everything.

        Args:
            ids: row id -> bucket.
        """
        if not ids:
            raise _Stop("no canary could be replayed: every one of them changed since the plan")
        deadline = time.monotonic() + self._pace.canary_s
        while True:
            seen = audit.standing(self._connection, self._plan.table, ids)
            for row_id, (status, reason, error) in seen.items():
                if status == "failed":
                    named = stored_reason(reason, error) or "no reason"
                    raise _Stop(
                        f"the canary of bucket {ids[row_id]} (row {row_id}) failed again:"
                        f" {named}: {' '.join(error.split())[:160]}"
                    )
            waiting = [row_id for row_id in seen if seen[row_id][0] != "done"]
            if not waiting:
                self._say(f"canary: {len(ids)} of {len(ids)} done")
                return
            if time.monotonic() > deadline:
                raise _Stop(
                    f"the canary of bucket {ids[waiting[0]]} (row {waiting[0]}) was not done"
                    f" within {self._pace.canary_s:g} s; does its worker run?"
                )
            time.sleep(POLL_S)

    def _look(self) -> None:
        """Now and then: stop when rows fail again, wait while too many are under way."""
        begun = time.monotonic()
        if begun < self._look_at:
            return
        most_open = 20 * self._pace.batch if self._pace.rows_per_s > 0 else None
        deadline = time.monotonic() + self._pace.canary_s
        while True:
            seen = self._outcomes()
            now = time.monotonic()
            # Looking takes longer the more rows there are: a tenth of the time at most.
            self._look_at = now + max(LOOK_EVERY_S, 10 * (now - begun))
            if seen.get("failed", 0) >= MOST_FAILED_AGAIN:
                raise _Stop(f"{seen['failed']} of the replayed rows failed again")
            if most_open is None or sum(seen.get(s, 0) for s in UNSETTLED) <= most_open:
                return
            if now > deadline:
                raise _Stop(f"the worker does not keep up: {most_open} rows wait")
            time.sleep(LOOK_EVERY_S)
            begun = time.monotonic()

    def _outcomes(self) -> Mapping[str, int]:
        return audit.outcomes(self._connection, self._plan.table, self._warrant.plan_sha256)

    def _why_skipped(self) -> dict[str, str]:
        seen = audit.standing(self._connection, self._plan.table, self._skipped)
        return {
            row_id: _skip_reason(seen[row_id][0]) if row_id in seen else "deleted since the plan"
            for row_id in self._skipped
        }


def _skip_reason(status: str) -> str:
    if status == "failed":
        return "failed, but not as planned, locked, or overtaken by a later event"
    return f"{status} since the plan"


def _has_audit(connection: Connection) -> bool:
    found = connection.execute(
        "SELECT has_table_privilege(to_regclass(%s), 'SELECT')", (audit.TABLE,)
    ).fetchone()
    return bool(found and found[0])
