"""API writes: which rows one request puts into the database, in one transaction.

Business row, search row, chronicle event and both outbox rows stand or fall together; nothing is
counted before commit.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, LiteralString
from uuid import UUID

from psycopg import sql
from pydantic import AfterValidator, AliasChoices, BaseModel, Field

from loomtriage.lab.api.chronicle import record
from loomtriage.lab.db_sessions import Connection, Sessions
from loomtriage.lab.telemetry.trace_context import (
    current_traceparent,
    current_tracestate,
    to_tracestate,
)

SNIPPET_CHARS = 200
MAX_TEXT_CHARS = 100_000


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("text may not hold U+0000, which PostgreSQL cannot store")
    return text


class Write(BaseModel):
    """The body of a PUT: `text`, or `title` for books and tags."""

    text: Annotated[str, AfterValidator(_without_nul)] = Field(
        max_length=MAX_TEXT_CHARS, validation_alias=AliasChoices("text", "title")
    )
    book_id: UUID | None = None
    library_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One business table.

    Attributes:
        entity_type: its name in search_index, outbox and metrics.
        column: the column that holds the text.
        changed: past participle of an update in event types.
        has_book: whether rows belong to a book.
    """

    table: LiteralString
    entity_type: str
    column: LiteralString
    changed: str
    has_book: bool = False


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "blocks": Kind(
            table="blocks", entity_type="block", column="text", changed="updated", has_book=True
        ),
        "books": Kind(table="books", entity_type="book", column="title", changed="renamed"),
        "tags": Kind(table="tags", entity_type="tag", column="title", changed="renamed"),
    }
)


class Refusal(StrEnum):
    """Why a delete changed nothing."""

    ABSENT = "absent"
    IN_USE = "in use"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a request left behind."""

    event_type: str
    entity_type: str
    entity_id: UUID
    event_version: int
    outbox_event_id: UUID

    @property
    def is_new(self) -> bool:
        """Whether the entity did not exist before."""
        return self.event_type.endswith(".created")


_UPSERT = """INSERT INTO {table} AS t (id, library_id, {column}, event_version {book_column})
VALUES (%(id)s, %(library_id)s, %(text)s, %(version)s {book_value})
ON CONFLICT (id) DO UPDATE SET {column} = EXCLUDED.{column}, library_id = EXCLUDED.library_id,
    updated_at = now(), event_version = greatest(EXCLUDED.event_version, t.event_version + 1)
    {book_update}
RETURNING event_version, xmax = 0"""

_SEARCH = """INSERT INTO search_index AS s
    (id, entity_type, library_id, entity_id, text, snippet, rank_score, event_version)
VALUES (%(search_id)s, %(entity_type)s, %(library_id)s, %(id)s, %(text)s, %(snippet)s, 0,
    %(version)s)
ON CONFLICT ON CONSTRAINT uq_search_index_entity DO UPDATE SET text = EXCLUDED.text,
    snippet = EXCLUDED.snippet, library_id = EXCLUDED.library_id, updated_at = now(),
    event_version = EXCLUDED.event_version
WHERE s.event_version <= EXCLUDED.event_version"""

_OUTBOX = """INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version,
    status, replay_count, traceparent, tracestate)
VALUES (%(outbox_id)s, %(entity_type)s, %(id)s, %(op)s, %(version)s, 'pending', 0,
    %(traceparent)s, %(tracestate)s)"""

_DELETE = "DELETE FROM {table} WHERE id = %(id)s RETURNING event_version {book_column}"
_UNINDEX = "DELETE FROM search_index WHERE entity_type = %(entity_type)s AND entity_id = %(id)s"
_IN_USE = "SELECT 1 FROM blocks WHERE book_id = %(id)s LIMIT 1"


def upsert(
    sessions: Sessions, kind: Kind, *, entity_id: UUID, write: Write, correlation_id: str
) -> Written:
    """Create or change an entity.

    Raises:
        psycopg.errors.ForeignKeyViolation: the book does not exist.
        psycopg.OperationalError: the database is away or its locks are held.
    """
    values = _values(kind, entity_id=entity_id, op="upsert", correlation_id=correlation_id)
    values |= {
        "text": write.text,
        "snippet": write.text[:SNIPPET_CHARS],
        "library_id": write.library_id,
        "book_id": write.book_id,
    }
    with sessions.borrow() as connection, connection.transaction():
        found = connection.execute(_statement(_UPSERT, kind), values).fetchone()
        version, is_new = found if found is not None else (values["version"], True)
        values["version"] = version
        connection.execute(_SEARCH, values)
        connection.execute(_OUTBOX, values)
        event = "created" if is_new else kind.changed
        record(connection, values, event=event)
    return _written(kind, values, event=event)


def delete(
    sessions: Sessions, kind: Kind, *, entity_id: UUID, correlation_id: str
) -> Written | Refusal:
    """Delete an entity; a book that still has blocks stays.

    Raises:
        psycopg.OperationalError: the database is away or its locks are held.
    """
    values = _values(kind, entity_id=entity_id, op="delete", correlation_id=correlation_id)
    with sessions.borrow() as connection, connection.transaction():
        if kind.table == "books" and connection.execute(_IN_USE, values).fetchone():
            return Refusal.IN_USE
        found = connection.execute(_statement(_DELETE, kind), values).fetchone()
        if found is None:
            return Refusal.ABSENT
        # The version must pass the last one of the entity even if the clock stepped back.
        values["version"] = max(int(str(values["version"])), int(str(found[0])) + 1)
        values["book_id"] = found[1] if kind.has_book else None
        connection.execute(_UNINDEX, values)
        connection.execute(_OUTBOX, values)
        record(connection, values, event="deleted")
    return _written(kind, values, event="deleted")


def answers(connection: Connection) -> bool:
    """Whether the database answers."""
    return connection.execute("SELECT 1").fetchone() is not None


def _values(kind: Kind, *, entity_id: UUID, op: str, correlation_id: str) -> dict[str, object]:
    return {
        "id": entity_id,
        "entity_type": kind.entity_type,
        "op": op,
        "version": time.time_ns() // 1000,
        "search_id": uuid.uuid4(),
        "outbox_id": uuid.uuid4(),
        "correlation_id": correlation_id,
        "traceparent": current_traceparent(),
        "tracestate": to_tracestate(correlation_id, inherited=current_tracestate()),
    }


def _statement(text: LiteralString, kind: Kind) -> sql.Composed:
    book = {
        "book_column": ", book_id" if kind.has_book else "",
        "book_value": ", %(book_id)s" if kind.has_book else "",
        "book_update": ", book_id = EXCLUDED.book_id" if kind.has_book else "",
    }
    return sql.SQL(text).format(
        table=sql.Identifier(kind.table),
        column=sql.Identifier(kind.column),
        **{name: sql.SQL(part) for name, part in book.items()},
    )


def _written(kind: Kind, values: Mapping[str, object], *, event: str) -> Written:
    return Written(
        event_type=f"{kind.entity_type}.{event}",
        entity_type=kind.entity_type,
        entity_id=UUID(str(values["id"])),
        event_version=int(str(values["version"])),
        outbox_event_id=UUID(str(values["outbox_id"])),
    )
