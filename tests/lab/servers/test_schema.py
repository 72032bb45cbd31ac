"""The lab's tables are Wordloom's, column for column, so that its own programs run on them."""

from __future__ import annotations

import uuid

import psycopg
import pytest
from psycopg import sql

pytestmark = pytest.mark.lab

# (column, type, NULL allowed, server default) as Wordloom's own worker expects them.
OUTBOX = (
    ("id", "uuid", "NO", None),
    ("entity_type", "character varying(50)", "NO", None),
    ("entity_id", "uuid", "NO", None),
    ("op", "character varying(20)", "NO", None),
    ("event_version", "bigint", "NO", None),
    ("created_at", "timestamp with time zone", "NO", "now()"),
    ("updated_at", "timestamp with time zone", "NO", "now()"),
    ("status", "character varying(20)", "NO", "'pending'::character varying"),
    ("owner", "character varying(120)", "YES", None),
    ("lease_until", "timestamp with time zone", "YES", None),
    ("processing_started_at", "timestamp with time zone", "YES", None),
    ("attempts", "integer", "NO", "0"),
    ("next_retry_at", "timestamp with time zone", "YES", None),
    ("processed_at", "timestamp with time zone", "YES", None),
    ("error_reason", "character varying(80)", "YES", None),
    ("error", "text", "YES", None),
    ("traceparent", "character varying(512)", "YES", None),
    ("tracestate", "text", "YES", None),
    ("replay_count", "integer", "NO", None),
    ("last_replayed_at", "timestamp with time zone", "YES", None),
    ("last_replayed_by", "character varying(120)", "YES", None),
    ("last_replayed_reason", "text", "YES", None),
)
NAMES = {
    "search_index": "id entity_type library_id entity_id text snippet rank_score created_at"
    " updated_at event_version",
    "chronicle_events": "id event_type book_id block_id actor_id payload schema_version provenance"
    " source actor_kind correlation_id occurred_at created_at",
    "chronicle_entries": "id event_type book_id block_id actor_id occurred_at created_at payload"
    " summary projection_version updated_at",
    "projection_status": "projection_name last_rebuild_started_at last_rebuild_finished_at"
    " last_rebuild_duration_seconds last_rebuild_success last_rebuild_error updated_at",
    "environment_sentinel": "id project env created_at",
    "lab_marker": "lab_id",
}


@pytest.fixture(scope="module")
def database(lab):
    """A connection as the lab's owner."""
    with psycopg.connect(lab.dsn, autocommit=True) as connection:
        yield connection


def columns(database, table):
    """What the catalogue says about a table's columns, in order."""
    return database.execute(
        "SELECT attname, format_type(atttypid, atttypmod),"
        " CASE WHEN attnotnull THEN 'NO' ELSE 'YES' END, pg_get_expr(adbin, adrelid)"
        " FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
        " WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
        (table,),
    ).fetchall()


@pytest.mark.parametrize("table", ["search_outbox_events", "chronicle_outbox_events"])
def test_both_outboxes_have_exactly_wordlooms_columns(database, table):
    """Neither outbox has a column more or less, another type, or another default."""
    assert tuple(columns(database, table)) == OUTBOX


@pytest.mark.parametrize(("table", "names"), NAMES.items())
def test_the_other_tables_have_wordlooms_columns(database, table, names):
    """The read models and the guard's table carry Wordloom's column names."""
    assert [name for name, *_ in columns(database, table)] == names.split()


@pytest.mark.parametrize("table", ["search_outbox_events", "chronicle_outbox_events"])
def test_the_outboxes_have_wordlooms_indexes(database, table):
    """Claims, reclaims and reports by reason each find their index."""
    found = database.execute(
        "SELECT regexp_replace(indexdef, '^.* USING btree ', '') FROM pg_indexes"
        " WHERE tablename = %s",
        (table,),
    ).fetchall()
    wanted = {
        "(entity_type, entity_id)",
        "(processed_at)",
        "(status, next_retry_at, lease_until, event_version)",
        "(status, processing_started_at)",
        "(status, error_reason)",
    }
    assert wanted <= {definition for (definition,) in found}


def test_a_document_is_indexed_once_per_entity(database):
    """The upsert of Wordloom's API has the unique constraint that it names."""
    entity = uuid.uuid4()
    statement = (
        "INSERT INTO search_index (id, entity_type, entity_id, text) VALUES (%s, 'tag', %s, %s)"
        " ON CONFLICT ON CONSTRAINT uq_search_index_entity DO UPDATE SET text = excluded.text"
    )
    for text in ("first", "second"):
        database.execute(statement, (uuid.uuid4(), entity, text))
    rows = database.execute(
        "DELETE FROM search_index WHERE entity_id = %s RETURNING text", (entity,)
    )
    assert rows.fetchall() == [("second",)]


def test_an_outbox_row_without_replay_count_is_refused(database):
    """As at Wordloom the writer supplies the counter: there is no server default to hide a bug."""
    with pytest.raises(psycopg.errors.NotNullViolation):
        database.execute(
            "INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version)"
            " VALUES (gen_random_uuid(), 'tag', gen_random_uuid(), 'upsert', 1)"
        )


def test_an_unknown_operation_is_not_stopped_by_the_table(database):
    """Operation and status are unchecked text, so that bad rows can reach the worker."""
    with database.transaction(force_rollback=True):
        database.execute(
            "INSERT INTO search_outbox_events"
            " (id, entity_type, entity_id, op, event_version, status, replay_count)"
            " VALUES (gen_random_uuid(), 'tag', gen_random_uuid(), 'shred', 1, 'odd', 0)"
        )


def test_both_markers_say_that_this_is_this_lab(lab, database):
    """The sentinel says sandbox, and the marker carries the lab's own random id."""
    sentinel = database.execute("SELECT id, project, env FROM environment_sentinel").fetchall()
    assert sentinel == [(1, "wordloom", "sandbox")]
    assert database.execute("SELECT lab_id FROM lab_marker").fetchall() == [(lab.lab_id,)]


def test_a_sentinel_of_production_cannot_be_written(database):
    """The table takes the three environments that Wordloom's guard knows, and no other."""
    with pytest.raises(psycopg.errors.CheckViolation):
        database.execute(
            sql.SQL(
                "INSERT INTO environment_sentinel (id, project, env) VALUES (2, 'wordloom', {})"
            ).format(sql.Literal("prod"))
        )
