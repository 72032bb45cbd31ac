"""Replay: how do exactly the rows of a plan go back to pending, canary first, safely?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field

import psycopg

from loomtriage.closeout import audit
from loomtriage.closeout.batches import Warrant, count_as_planned, replay_batch, why_left
from loomtriage.closeout.plan_file import Plan, PlannedRow
from loomtriage.closeout.target import Connection
from loomtriage.closeout.turn import turn
from loomtriage.closeout.watch import POLL_S, Stop, Watch
from loomtriage.contract.reasons import stored_reason
from loomtriage.errors import Exit

MOST_CANARIES = 20
"""Rows tried as a canary in a bucket whose first rows changed since the plan."""
BATCHES_OPEN = 20
"""Rows that may pile up, in batches."""
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
        cut: what cut it short, empty when nothing did.
        settled: what became of all rows of the plan, count by status.
        ready: rows that are still as planned: what a second dry run finds.
    """

    replayed: int = 0
    before: int = 0
    skipped: dict[str, list[str]] = field(default_factory=dict)
    stopped: str = ""
    cut: str = ""
    settled: Mapping[str, int] = field(default_factory=dict)
    ready: int = 0

    def cut_short(self, why: str, *, back: int) -> None:
        """Say what cut the replay short, and what that means.

        Args:
            back: rows that this plan has put back, as the audit tells.
        """
        self.replayed = max(0, back - self.before)
        if self.stopped and not self.cut:
            return  # It had stopped by itself, and only the summing up was cut short.
        rows = "1 row is" if back == 1 else f"{back} rows are"
        self.cut = why
        self.stopped = f"{why}; {rows} back; run the same command again"

    @property
    def exit_code(self) -> Exit:
        """OK only when all that was replayed is done and nothing stopped it."""
        undone = sum(count for status, count in self.settled.items() if status != "done")
        if not self.settled and not self.stopped:
            return Exit.NO_DATA
        is_open = bool(self.stopped or undone or self.skipped or self.ready)
        return Exit.BAD if is_open else Exit.OK

    def as_json(self) -> dict[str, object]:
        """The fields by name."""
        return asdict(self)


def dry_run(connection: Connection, plan: Plan) -> Mapping[str, int]:
    """What a replay would do now: rows still as planned, changed since, and replayed before."""
    is_readable = audit.is_readable(connection)
    done = audit.already(connection, plan.digest()) if is_readable else frozenset()
    left = [row for row in plan.rows if row.id not in done]
    ready = count_as_planned(connection, plan.table, left) if left else 0
    return {"ready": ready, "changed": len(left) - ready, "before": len(done)}


def replay(
    connection: Connection, plan: Plan, warrant: Warrant, *, pace: Pace, say: Say
) -> Outcome:
    """Replay the plan: one row of each bucket first, the rest only when those were done.

    Every batch is one transaction that holds the rows and their audit; running the same plan
    again goes on where it was, and has no second effect. A lost connection, a statement that
    took too long and Ctrl-C cut it short; what it came to until then is returned all the same.

    Raises:
        Refused: somebody else replays, or the database has no audit table.
    """
    audit.refuse_without_audit(connection)
    with turn(connection, warrant.who):
        run = _Run(connection, plan, warrant, pace=pace, say=say)
        try:
            try:
                run.go()
            except Stop as stop:
                run.outcome.stopped = str(stop)
            run.finish()
        except KeyboardInterrupt:
            run.cut("interrupted")
        except psycopg.OperationalError as error:
            told = " ".join(str(error).split())[:200].rstrip(".")
            run.cut(f"the database: {type(error).__name__}: {told}")
        return run.outcome


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
        self._skipped: dict[str, PlannedRow] = {}
        self._watch = Watch(
            connection,
            warrant,
            most_open=BATCHES_OPEN * pace.batch,
            is_limited=pace.rows_per_s > 0,
            patience_s=pace.canary_s,
        )
        self._batch = 0
        self.outcome = Outcome(before=len(self._done))

    def go(self) -> None:
        """Canaries, then the rest, then once more what was locked.

        Raises:
            Stop: it must not go on.
        """
        if self._done:
            # What an earlier run put back may have failed again meanwhile.
            self._watch.look_now()
        buckets: dict[int, list[PlannedRow]] = {}
        for row in self._plan.rows:
            buckets.setdefault(row.bucket, []).append(row)
        canaries = {number: self._canary(rows) for number, rows in buckets.items()}
        self._wait_for({row_id: number for number, row_id in canaries.items() if row_id})
        for _pass in ("all", "those passed over because somebody held them"):
            rest = [r for r in self._plan.rows if canaries[r.bucket] and r.id not in self._done]
            self._put_back_all(rest)

    def _put_back_all(self, rows: Sequence[PlannedRow]) -> None:
        begun, put = time.monotonic(), 0
        for first in range(0, len(rows), self._pace.batch):
            put += self._put_back(rows[first : first + self._pace.batch])
            self._watch.look()
            if self._pace.rows_per_s > 0:
                time.sleep(max(0.0, begun + put / self._pace.rows_per_s - time.monotonic()))

    def _canary(self, rows: Sequence[PlannedRow]) -> str:
        """Id of the row that goes first in its bucket; empty when the first of them all changed."""
        earlier = next((row.id for row in rows if row.id in self._done), "")
        fresh = [row for row in rows if row.id not in self._done]
        if earlier and not (self._warrant.is_late and fresh):
            return earlier
        for row in fresh[:MOST_CANARIES]:
            if self._put_back([row], is_canary=True):
                return row.id
        if left := [row.id for row in fresh[MOST_CANARIES:]]:
            why = "its bucket has no canary: those tried changed"
            self.outcome.skipped.setdefault(why, []).extend(left)
        return ""

    def finish(self) -> None:
        """Wait until the rows have settled, and sum up."""
        outcome, table = self.outcome, self._plan.table
        left = why_left(self._connection, table, list(self._skipped.values()))
        for row_id, why in left.items():
            outcome.skipped.setdefault(why, []).append(row_id)
        outcome.settled = self._watch.settle(0.0 if outcome.stopped else self._pace.watch_s)
        rest = [row for row in self._plan.rows if row.id not in self._done]
        outcome.ready = count_as_planned(self._connection, table, rest) if rest else 0

    def cut(self, why: str) -> None:
        """Say what the audit tells of a replay that was cut short, where it can still be asked."""
        with suppress(psycopg.Error):
            self._done |= audit.already(self._connection, self._warrant.plan_sha256)
            self.outcome.settled = self._watch.outcomes()
        self.outcome.cut_short(why, back=len(self._done))

    def _put_back(self, rows: Sequence[PlannedRow], *, is_canary: bool = False) -> int:
        self._batch += 1
        put = replay_batch(
            self._connection, self._warrant, rows, batch=self._batch, is_canary=is_canary
        )
        self._done |= put
        self.outcome.replayed += len(put)
        for row in rows:
            if row.id in put:
                self._skipped.pop(row.id, None)
            else:
                self._skipped[row.id] = row
        what = f"canary of bucket {rows[0].bucket}" if is_canary else f"batch {self._batch}"
        self._say(f"{what}: {len(put)} of {len(rows)} rows back to pending")
        return len(put)

    def _wait_for(self, ids: Mapping[str, int]) -> None:
        """Until each canary is done; one that failed again, is gone, or hangs, stops everything.

        Args:
            ids: row id -> bucket.
        """
        if not ids:
            raise Stop("no canary could be replayed: every one of them changed or is locked")
        deadline = time.monotonic() + self._pace.canary_s
        while True:
            seen = audit.standing(self._connection, self._plan.table, ids)
            for row_id, number in ids.items():
                named = f"the canary of bucket {number} (row {row_id})"
                if row_id not in seen:
                    raise Stop(f"{named} is gone")
                status, reason, error = seen[row_id]
                if status == "failed":
                    because = stored_reason(reason, error) or "no reason"
                    raise Stop(f"{named} failed again: {because}: {_line(error)}")
            waiting = [row_id for row_id in seen if seen[row_id][0] != "done"]
            if not waiting:
                self._say(f"canary: {len(ids)} of {len(ids)} done")
                return
            if time.monotonic() > deadline:
                _, reason, error = seen[waiting[0]]
                retried = f"retried: {stored_reason(reason, error)}: {_line(error)}"
                raise Stop(
                    f"the canary of bucket {ids[waiting[0]]} (row {waiting[0]}) was not done within"
                    f" {self._pace.canary_s:g} s; {retried if reason else 'does its worker run?'}"
                )
            time.sleep(POLL_S)


def _line(error: str) -> str:
    return " ".join(error.split())[:160]
