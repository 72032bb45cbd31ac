"""The outbox source reads rows of a real PostgreSQL and cannot change one."""

from __future__ import annotations

import secrets
import socket
import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from loomtriage.contract.keys import CHRONICLE, SEARCH
from loomtriage.errors import Refused
from loomtriage.model import Scope, Signal, State, Window
from loomtriage.sources import Live, Outbox, Playback, Question, Recording
from loomtriage.sources import outbox as outbox_module
from tests.lab.pipeline import database
from tests.sources.wire import Wire, hangs

NOW = datetime.now(UTC)
WINDOW = Window(NOW - timedelta(minutes=1), NOW + timedelta(minutes=1))
ASKED = Question(signal=Signal.ROWS, window=WINDOW)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PASSWORD = secrets.token_hex(8)


def as_role(dsn, role, password=PASSWORD):
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{role}:{password}@127.0.0.1:{parts.port}"))


@pytest.fixture(scope="module")
def owner():
    """DSN of the owner of a furnished database with four rows."""
    try:
        with database() as dsn:
            with psycopg.connect(dsn, autocommit=True) as connection:
                fill(connection)
            yield dsn
    except Refused as no:
        pytest.skip(f"no PostgreSQL: {no}")


def fill(connection):
    for role in ("reader", "writer", "column_writer", "stranger"):
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        connection.execute(f'GRANT CONNECT ON DATABASE "{connection.info.dbname}" TO {role}')
        connection.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
        if role != "stranger":
            connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    connection.execute("GRANT INSERT ON search_outbox_events TO writer")
    connection.execute("GRANT UPDATE (status) ON chronicle_outbox_events TO column_writer")
    error = "Client error '403 Forbidden' for url 'http://w:hunter2@h/_doc/x'"
    insert(connection, "search_outbox_events", "pending")
    insert(connection, "search_outbox_events", "failed", error=error, error_reason="es_4xx")
    insert(connection, "search_outbox_events", "done", created_at=NOW, processed_at=NOW)
    insert(connection, "search_outbox_events", "done", processed_at=NOW - timedelta(hours=1))
    later = WINDOW.end + timedelta(seconds=9)
    insert(connection, "search_outbox_events", "done", created_at=NOW, processed_at=later)
    insert(connection, "search_outbox_events", "done", created_at=later, processed_at=later)
    insert(connection, "chronicle_outbox_events", "pending", entity_type="chronicle_event")


def insert(connection, table, status, **more):
    row = {
        "id": uuid.uuid4(),
        "entity_type": "book",
        "entity_id": uuid.uuid4(),
        "op": "upsert",
        "event_version": 1,
        "status": status,
        "attempts": 0,
        "replay_count": 0,
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
        "tracestate": "other=1,wordloom=by%2Chand",
    } | more
    marks = ", ".join(["%s"] * len(row))
    connection.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values())
    )


@pytest.mark.timeout(60)
def test_no_database_is_one_word_and_no_secret():
    """Not configured, closed port, hanging server, other server: a word, and never the DSN."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        closed = f"postgresql+psycopg://bob:hunter2@127.0.0.1:{held.getsockname()[1]}/d"
    with Wire(hangs) as wire:
        silent = f"postgres://bob:hunter2@{wire.url.removeprefix('http://')}/d"
        cases = [("", "not_configured"), (closed, "refused"), (silent, "timeout")]
        cases += [("bob:hunter2@nowhere", "refused"), ("postgres://bob:hunter2@[", "refused")]
        cases.append(("postgres://bob:x@hunter2@nowhere", "refused"))
        for dsn, word in cases:
            deadline_s = 1.0 if word == "timeout" else 20.0
            frame = Outbox(dsn, tape=Live(), deadline_s=deadline_s).pull(ASKED)
            assert (len(frame), frame.missing) == (0, word)
            assert frame.hint
            assert "hunter2" not in repr((frame.hint, frame.origin, frame.caveats))


@pytest.mark.lab
@pytest.mark.parametrize("role", ["owner", "writer", "column_writer"])
def test_role_that_can_write_is_refused(owner, role):
    """A role that could change one outbox column is not used, and the hint says what to give."""
    dsn = owner if role == "owner" else as_role(owner, role)
    frame = Outbox(dsn, tape=Live()).pull(ASKED)
    assert (len(frame), frame.missing) == (0, "refused")
    assert "CREATE ROLE" in frame.hint
    assert Outbox(dsn, tape=Live()).probe().state is State.NO_DATA


@pytest.mark.lab
def test_wrong_password_and_missing_right_are_auth(owner):
    """A role that is not let in, or may not read, is told apart from a server that is gone."""
    for dsn in (as_role(owner, "reader", "wrong"), as_role(owner, "stranger")):
        frame = Outbox(dsn, tape=Live()).pull(ASKED)
        assert frame.missing == "auth"
        assert PASSWORD not in frame.hint


@pytest.mark.lab
def test_rows_not_done_and_done_in_the_window(owner, tmp_path):
    """Waiting and failed rows come whatever their age; done ones when they were open in it.

    A line of the window names its row also when that is done before we ask.
    """
    tape = Recording(tmp_path / "tape")
    frame = Outbox(as_role(owner, "reader"), tape=tape).pull(ASKED)
    assert sorted(frame.data["status"]) == ["done", "done", "failed", "pending", "pending"]
    assert sorted(set(frame.data["projection"])) == [CHRONICLE, SEARCH]
    assert set(frame.data["trace_id"]) == {TRACE}
    again = Outbox("", tape=Playback(tmp_path / "tape")).pull(ASKED)
    assert again.data.equals(frame.data)
    assert b"hunter2" not in b"".join(p.read_bytes() for p in (tmp_path / "tape").iterdir())


@pytest.mark.lab
def test_reason_is_canonical_by_the_stored_status(owner):
    """`es_4xx` with a 403 in its error text is the write block."""
    data = Outbox(as_role(owner, "reader"), tape=Live()).pull(ASKED).data
    failed = data[data["status"] == "failed"].iloc[0]
    assert failed["reason"] == "es_write_blocked"
    assert failed["created_at"].utcoffset() == timedelta(0)


@pytest.mark.lab
def test_scope_keeps_one_projection_and_refuses_another_env(owner):
    """Only the projection's table is read; a database of another env gives no evidence."""
    source = Outbox(as_role(owner, "reader"), tape=Live())
    one = source.pull(
        Question(signal=Signal.ROWS, window=WINDOW, scope=Scope(projection="chronicle"))
    )
    assert set(one.data["projection"]) == {CHRONICLE}
    same = source.pull(Question(signal=Signal.ROWS, window=WINDOW, scope=Scope(env="sandbox")))
    other = source.pull(Question(signal=Signal.ROWS, window=WINDOW, scope=Scope(env="prod")))
    assert len(same) == 5
    assert (other.missing, "env=sandbox" in other.hint) == ("refused", True)


@pytest.mark.lab
def test_cap_is_said_with_counts(owner, monkeypatch):
    """Above the cap rows are cut, and the caveat counts all rows by status."""
    monkeypatch.setattr(outbox_module, "MAX_ROWS", 2)
    frame = Outbox(as_role(owner, "reader"), tape=Live()).pull(ASKED)
    assert len(frame) == 2
    assert frame.caveats[-1].startswith("truncated: 2 rows are kept")
    assert '"done": 4, "failed": 1, "pending": 1' in frame.caveats[-1]


@pytest.mark.lab
def test_a_lock_does_not_hold_us(owner):
    """A table locked by somebody else ends as a timeout, within the budget."""
    with psycopg.connect(owner) as holder:
        holder.execute("LOCK TABLE search_outbox_events IN ACCESS EXCLUSIVE MODE")
        frame = Outbox(as_role(owner, "reader"), tape=Live(), deadline_s=1.0).pull(ASKED)
    assert (len(frame), frame.missing) == (0, "timeout")


@pytest.mark.lab
def test_database_without_outbox_is_wrong_content(owner):
    """Another database is no empty outbox."""
    other = urlunsplit(urlsplit(as_role(owner, "reader"))._replace(path="/postgres"))
    assert Outbox(other, tape=Live()).pull(ASKED).missing == "wrong_content"


@pytest.mark.lab
def test_probe_of_a_reader_is_ok(owner):
    """The probe confirms that this role can only read."""
    assert Outbox(as_role(owner, "reader"), tape=Live()).probe().state is State.OK


@pytest.mark.lab
def test_a_row_names_its_request(owner):
    """Trace id and correlation id come out of the row's trace context, decoded."""
    frame = Outbox(as_role(owner, "reader"), tape=Live()).pull(ASKED)
    assert set(frame.data["correlation_id"]) == {"by,hand"}
    assert set(frame.data["trace_id"]) == {TRACE}
