"""A replay that is killed again and again, each time started anew, until it has gone through."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path

from loomtriage.closeout.permit import permit
from loomtriage.closeout.plan_file import read_plan
from loomtriage.closeout.replay import Pace, replay
from loomtriage.closeout.target import connected
from tests.closeout.failed import ask, request


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What is in the database afterwards.

    Attributes:
        kills: times that the replay was killed.
        seconds: until one run went through.
        lost: planned rows that were not replayed, or without an audit.
        double: rows that were replayed more than once.
        audited: audit rows of the plan.
    """

    kills: int
    seconds: float
    lost: int
    double: int
    audited: int


def run_once(dsn: str, path: str, batch: int, begun: Event | None = None) -> None:
    """Replay the plan in this process, as fast as it goes; exit code 1 when it stopped.

    `begun` is set when everything was read and permitted, so that what follows is the replay.
    """
    plan = read_plan(Path(path))
    with connected(dsn, read_only=False) as session:
        warrant = permit(session, plan, request(plan), now=datetime.now(UTC))
        if begun is not None:
            begun.set()
        pace = Pace(rows_per_s=0, batch=batch, canary_s=20, watch_s=0)
        outcome = replay(session, plan, warrant, pace=pace, say=lambda _line: None)
    if outcome.stopped:
        raise SystemExit(outcome.stopped)


def replay_under_fire(
    owner_dsn: str,
    replayer_dsn: str,
    path: Path,
    *,
    batch: int,
    every_s: float = 0.0,
    every_rows: int = 1,
) -> Ledger:
    """Run the plan in a process of its own that is killed again and again.

    Args:
        every_s, every_rows: each run has so long, and gets at least so many rows further.
    """
    plan = read_plan(path)

    def audited() -> int:
        statement = "SELECT count(*) FROM outbox_replay_audit WHERE plan_sha256 = %s"
        ((count,),) = ask(owner_dsn, statement, plan.digest())
        return count

    # Forked from a server that has imported everything: what is killed is the replay itself.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    kills, begun = 0, time.perf_counter()
    while True:
        ready, first = context.Event(), audited()
        child = context.Process(target=run_once, args=(replayer_dsn, str(path), batch, ready))
        child.start()
        ready.wait(60)
        child.join(every_s)
        while child.exitcode is None and audited() - first < every_rows:
            child.join(0.005)
        if child.exitcode is not None:
            break
        child.kill()
        child.join()
        kills += 1
    if child.exitcode:
        raise AssertionError(f"the replay ended with {child.exitcode}")
    seconds = time.perf_counter() - begun
    ((once, double),) = ask(
        owner_dsn,
        "SELECT count(*) FILTER (WHERE t.replay_count >= 1 AND a.row_id IS NOT NULL),"
        " count(*) FILTER (WHERE t.replay_count > 1) FROM search_outbox_events AS t"
        " LEFT JOIN outbox_replay_audit AS a ON a.row_id = t.id AND a.plan_sha256 = %s",
        plan.digest(),
    )
    return Ledger(
        kills=kills, seconds=seconds, lost=len(plan.rows) - once, double=double, audited=audited()
    )
