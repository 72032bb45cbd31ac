"""Chronicle entries: what one event becomes, and how it is written so that twice is once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from loomtriage.lab.db_sessions import Sessions
from loomtriage.lab.outbox.batch import Batch
from loomtriage.lab.outbox.claims import OutboxRow
from loomtriage.lab.outbox.failures import Failure
from loomtriage.lab.outbox.settle import Attempt, unknown_op

SUMMARY_CHARS = 200

_EVENT = """SELECT id, event_type, book_id, block_id, actor_id, occurred_at, created_at, payload
FROM chronicle_events WHERE id = %s"""

_ENTRY = """INSERT INTO chronicle_entries AS e (id, event_type, book_id, block_id, actor_id,
    occurred_at, created_at, payload, summary, projection_version)
VALUES (%(id)s, %(event_type)s, %(book_id)s, %(block_id)s, %(actor_id)s, %(occurred_at)s,
    %(created_at)s, %(payload)s, %(summary)s, %(projection_version)s)
ON CONFLICT (id) DO UPDATE SET event_type = EXCLUDED.event_type, book_id = EXCLUDED.book_id,
    block_id = EXCLUDED.block_id, actor_id = EXCLUDED.actor_id,
    occurred_at = EXCLUDED.occurred_at, payload = EXCLUDED.payload, summary = EXCLUDED.summary,
    projection_version = EXCLUDED.projection_version, updated_at = now()"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One row of `chronicle_events`."""

    id: UUID
    event_type: str
    book_id: UUID
    block_id: UUID | None
    actor_id: UUID | None
    occurred_at: datetime
    created_at: datetime
    payload: Mapping[str, object]


def summary_of(event: Event, *, version: int) -> str:
    """The line that people read; from version 2 on it quotes what was written.

    `block_updated` becomes `block updated`, and then `block updated: first words`.
    """
    what = event.event_type.replace("_", " ")
    text = " ".join(str(event.payload.get("text", "")).split())
    return f"{what}: {text}"[:SUMMARY_CHARS] if version > 1 and text else what


def chronicle_attempt(sessions: Sessions, *, version: int) -> Callable[[Batch, OutboxRow], Attempt]:
    """One entry for one row.

    Args:
        version: of the rule; it is written with each entry.
    """

    def attempt(batch: Batch, row: OutboxRow) -> Attempt:
        del batch
        if row.op != "upsert":
            return unknown_op(row)
        event = event_of(sessions, row.entity_id)
        if event is None:
            # Nothing will bring it back: its book was deleted, and the events with it.
            error = f"missing_event: chronicle_events has no row {row.entity_id}"
            return Attempt(failure=Failure(reason="deterministic_exception", error=error))
        write_entry(sessions, event, version=version)
        return Attempt()

    return attempt


def event_of(sessions: Sessions, event_id: UUID) -> Event | None:
    """The event of an outbox row, None when it is gone."""
    with (
        sessions.borrow() as connection,
        connection.cursor(row_factory=class_row(Event)) as cursor,
    ):
        return cursor.execute(_EVENT, (event_id,)).fetchone()


def write_entry(sessions: Sessions, event: Event, *, version: int) -> None:
    """Write the entry of an event, in place of the one that is there."""
    values = {
        "id": event.id,
        "event_type": event.event_type,
        "book_id": event.book_id,
        "block_id": event.block_id,
        "actor_id": event.actor_id,
        "occurred_at": event.occurred_at,
        "created_at": event.created_at,
        "payload": Jsonb(dict(event.payload)),
        "summary": summary_of(event, version=version),
        "projection_version": version,
    }
    with sessions.borrow() as connection:
        connection.execute(_ENTRY, values)
