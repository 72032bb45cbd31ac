"""Outboxes with failed rows, made by SQL, and what stands in them afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from loomtriage.analysis.templates import skeleton
from loomtriage.closeout.audit import REPLAYER_ROLE, make_audit
from loomtriage.closeout.failed_rows import Asked
from loomtriage.closeout.permit import Request
from loomtriage.closeout.plan import Wanted, make_plan
from loomtriage.closeout.plan_file import SHOWN_DIGITS, Plan
from loomtriage.contract.keys import SEARCH

PASSWORD = "only-replays"
ERROR = "document_parsing_exception: [1:45] failed to parse field [rank_score] of type [float]"

_FAILED = """INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version,
    created_at, updated_at, status, attempts, error_reason, error, replay_count)
SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', n,
    now() - interval '2 hours', now() - interval '1 hour' + n * interval '1 millisecond',
    'failed', 1, %(reason)s, %(error)s || ', preview ' || n, 0
FROM generate_series(1, %(count)s) AS n"""

_DONE = """INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version,
    created_at, updated_at, status, attempts, processed_at, replay_count)
SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', n,
    now() - interval '2 hours', now(), 'done', 1, now() - n * interval '1 millisecond', 0
FROM generate_series(1, %(count)s) AS n"""


def fill(
    dsn: str, *, failed: int, done: int = 0, reason: str = "mapping_conflict", error: str = ERROR
) -> None:
    """Empty the outbox and put so many rows in."""
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("TRUNCATE search_outbox_events")
        more(dsn, failed=failed, done=done, reason=reason, error=error)
        owner.execute("VACUUM ANALYZE search_outbox_events")


def more(
    dsn: str, *, failed: int, done: int = 0, reason: str = "mapping_conflict", error: str = ERROR
) -> None:
    """Put so many rows more in."""
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute(_FAILED, {"count": failed, "reason": reason, "error": error})
        owner.execute(_DONE, {"count": done})


def replayer(dsn: str) -> str:
    """The DSN of the role that may replay; audit table and role are made where they lack."""
    make_audit(dsn, password=PASSWORD)
    place = dsn.partition("@")[2]
    return f"postgresql://{REPLAYER_ROLE}:{PASSWORD}@{place}"


def planned(
    dsn: str,
    *,
    most: int = 500,
    quiet_s: float = 60.0,
    reason: str = "",
    projection: str = SEARCH,
) -> Plan:
    """A plan for one projection."""
    wanted = Wanted(asked=Asked(projection=projection), most=most, quiet_s=quiet_s, reason=reason)
    return make_plan(dsn, wanted, template=skeleton)


def request(plan: Plan, **other: object) -> Request:
    """A request that no rule refuses, unless something else is said."""
    given: dict[str, object] = {
        "digest": plan.digest()[:SHOWN_DIGITS],
        "who": "ada",
        "why": "OPS-17",
        "fixed": "scores repaired",
        "env": "sandbox",
        "many": True,
        **other,
    }
    return Request(**given)  # type: ignore[arg-type]


def ask(dsn: str, statement: str, *values: object) -> list[tuple]:
    """Rows of one statement, as the owner."""
    with psycopg.connect(dsn, autocommit=True) as owner:
        cursor = owner.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def settling(dsn: str, *, status: str = "done", most: int = 10_000) -> Iterator[None]:
    """A stand-in for the worker: takes up to so many replayed rows to their end, quickly."""
    from threading import Event, Thread

    stop = Event()
    statement = """UPDATE search_outbox_events SET status = %(status)s::text, updated_at = now(),
        processed_at = CASE WHEN %(status)s::text = 'done' THEN now() END,
        error_reason = CASE WHEN %(status)s::text = 'failed' THEN 'mapping_conflict' END,
        error = CASE WHEN %(status)s::text = 'failed' THEN %(error)s::text END
        WHERE id IN (SELECT id FROM search_outbox_events
            WHERE status = 'pending' AND replay_count > 0 LIMIT %(most)s)"""

    def work() -> None:
        left = most
        with psycopg.connect(dsn, autocommit=True) as session:
            while left > 0 and not stop.is_set():
                values = {"status": status, "error": ERROR, "most": left}
                left -= session.execute(statement, values).rowcount
                stop.wait(0.02)

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
