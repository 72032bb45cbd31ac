"""API chronicle: which event a write leaves for the chronicle, in the write's own transaction."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from psycopg.types.json import Jsonb

from loomtriage.lab.db_sessions import Connection

PAYLOAD_CHARS = 200
SOURCE = "api"

_EVENT = """INSERT INTO chronicle_events (id, event_type, book_id, block_id, payload,
    schema_version, provenance, source, actor_kind, correlation_id, occurred_at)
VALUES (%(event_id)s, %(chronicle_type)s, %(book)s, %(block)s, %(payload)s, 1, 'live',
    %(source)s, 'service', %(correlation_id)s, now())"""

_OUTBOX = """INSERT INTO chronicle_outbox_events (id, entity_type, entity_id, op, event_version,
    status, replay_count, traceparent, tracestate)
VALUES (%(chronicle_outbox_id)s, 'chronicle_event', %(event_id)s, 'upsert', 0, 'pending', 0,
    %(traceparent)s, %(tracestate)s)"""


def record(connection: Connection, values: Mapping[str, object], *, event: str) -> None:
    """Write the chronicle event of a write and its outbox row.

    The chronicle is told by books: what belongs to none, and a book that is deleted with all its
    events, leave nothing.

    Args:
        values: of the write; `book_id` is the book that it belongs to.
        event: what happened, as in `created`.
    """
    kind, book = str(values["entity_type"]), values.get("book_id")
    if kind == "book":
        book = None if event == "deleted" else values["id"]
    if book is None:
        return
    text = str(values.get("text", ""))[:PAYLOAD_CHARS]
    own = {
        "event_id": uuid.uuid4(),
        "chronicle_outbox_id": uuid.uuid4(),
        "chronicle_type": f"{kind}_{event}",
        "book": book,
        # A deleted block cannot be pointed at any more; the payload still names it.
        "block": values["id"] if kind == "block" and event != "deleted" else None,
        "payload": Jsonb({f"{kind}_id": str(values["id"]), "text": text}),
        "source": SOURCE,
    }
    connection.execute(_EVENT, {**values, **own})
    connection.execute(_OUTBOX, {**values, **own})
