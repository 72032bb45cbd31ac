"""Databases in every condition: a real PostgreSQL, or somebody at its port who is none."""

from __future__ import annotations

import secrets
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import psycopg

from loomtriage.sources import Outbox, Tape
from tests.matrix.healthy import DAY_S, START
from tests.sources.wire import Wire

PASSWORD = secrets.token_hex(8)
SOON_S = 0.8  # where nothing comes, however long one waits
BUDGET_S = 20.0
REAL = frozenset(
    {"good", "bad_password", "other_database", "old", "behind_8h", "ahead_1d"}
    | {"nothing", "large", "one_table", "both_tables", "shuffled"}
)
"""Variants that need a real server."""
_WELCOME = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"
_TABLES = ("search_outbox_events", "chronicle_outbox_events")


class Endpoint(Wire):
    """Listens as PostgreSQL would, up to the login, and then does what a test asks for."""

    def _handle(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while len(hello := connection.recv(8)) == 8 and hello[4:] != b"\0\3\0\0":
                connection.sendall(b"N")  # neither TLS nor GSS here
            connection.recv(65536)
            self._answers[0](connection, hello)
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def _fails(state: str) -> Callable[[socket.socket, bytes], None]:
    said = b"SFATAL\0VFATAL\0C" + state.encode() + b"\0Mnot now\0\0"
    return lambda c, _: c.sendall(b"E" + (len(said) + 4).to_bytes(4) + said)


def _breaks_off(connection: socket.socket, _: bytes) -> None:
    """Lets the client in, and ends in the middle of its first answer."""
    connection.sendall(_WELCOME)
    connection.recv(65536)
    connection.sendall(b"T\0\0\0\x99\0\x01")


def _drips(connection: socket.socket, _: bytes) -> None:
    """Lets the client in, and then says nothing of worth, a byte at a time."""
    for byte in _WELCOME[:9] + b"S\0\0\0\x09aa\0b\0" * 999:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


class Impostor(Wire):
    """Another service at that port."""

    def _handle(self, connection: socket.socket) -> None:
        with suppress(OSError):
            connection.recv(8)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


_PRETENDED = {
    "hangs": (Endpoint, lambda c, _: c.recv(1)),
    "drips": (Endpoint, _drips),
    "starting": (Endpoint, _fails("57P03")),
    "too_many": (Endpoint, _fails("53300")),
    "breaks_off": (Endpoint, _breaks_off),
    "other_service": (Impostor, None),
}


@contextmanager
def standing(variant: str, tape: Tape, owner: str, budget_s: float = 0.0) -> Iterator[Outbox]:
    """The source, asked while its database stands in that condition."""
    budget_s = budget_s or (SOON_S if variant in {"hangs", "drips"} else BUDGET_S)
    if variant == "absent":
        yield Outbox("", tape=tape, deadline_s=budget_s)
    elif variant == "closed_port":
        with socket.create_server(("127.0.0.1", 0)) as held:
            port = held.getsockname()[1]
        yield Outbox(f"postgres://w:hunter2@127.0.0.1:{port}/d", tape=tape, deadline_s=budget_s)
    elif variant in _PRETENDED:
        listens, says = _PRETENDED[variant]
        with listens(says) as wire:
            dsn = f"postgres://w:hunter2@{wire.url.removeprefix('http://')}/d"
            yield Outbox(dsn, tape=tape, deadline_s=budget_s)
    else:
        with psycopg.connect(owner, autocommit=True) as connection:
            fill(connection, variant)
            try:
                yield Outbox(_dsn(owner, variant), tape=tape)
            finally:
                _undo(connection)


def _dsn(owner: str, variant: str) -> str:
    parts = urlsplit(owner)
    password = "wrong" if variant == "bad_password" else PASSWORD
    path = "/postgres" if variant == "other_database" else parts.path
    netloc = f"matrix_reader:{password}@127.0.0.1:{parts.port}"
    return urlunsplit(parts._replace(netloc=netloc, path=path))


def admit(connection: psycopg.Connection) -> None:
    """Make the role that may only read, and two clocks that are wrong."""
    connection.execute(f"CREATE ROLE matrix_reader LOGIN PASSWORD '{PASSWORD}'")
    connection.execute(f'GRANT CONNECT ON DATABASE "{connection.info.dbname}" TO matrix_reader')
    connection.execute("GRANT USAGE ON SCHEMA public TO matrix_reader")
    connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO matrix_reader")
    for clock, off in (("behind_8h", "-8 hours"), ("ahead_1d", "1 day")):
        connection.execute(f"CREATE SCHEMA {clock}")
        connection.execute(f"GRANT USAGE ON SCHEMA {clock} TO matrix_reader")
        connection.execute(
            f"CREATE FUNCTION {clock}.now() RETURNS timestamptz LANGUAGE sql "
            f"AS $$ SELECT pg_catalog.now() + interval '{off}' $$"
        )


def fill(connection: psycopg.Connection, variant: str) -> None:
    """Rows of both outboxes, and what is wrong with them."""
    for table in _TABLES:
        connection.execute(f"TRUNCATE {table} CASCADE")
    if variant == "nothing":
        return
    since = -DAY_S if variant == "old" else 35.0
    order = [3, 1, 4, 2] if variant == "shuffled" else [1, 2, 3, 4]
    for number in order:
        _insert(connection, _TABLES[0], number, at=since + number)
    if variant == "both_tables":
        _insert(connection, _TABLES[1], 1, at=since + 1)
    if variant == "large":
        connection.execute(
            "INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, "
            "status, attempts, replay_count) SELECT gen_random_uuid(), 'book', "
            "gen_random_uuid(), 'upsert', 1, 'pending', 0, 0 FROM generate_series(1, 10001)"
        )
    if variant == "one_table":
        connection.execute("ALTER TABLE chronicle_outbox_events RENAME TO gone")
    if variant in ("behind_8h", "ahead_1d"):
        path = f"{variant}, pg_catalog, public"
        connection.execute(f"ALTER ROLE matrix_reader SET search_path = {path}")


def _undo(connection: psycopg.Connection) -> None:
    connection.execute("ALTER TABLE IF EXISTS gone RENAME TO chronicle_outbox_events")
    connection.execute("ALTER ROLE matrix_reader RESET search_path")


def _insert(connection: psycopg.Connection, table: str, number: int, *, at: float) -> None:
    moment = START + timedelta(seconds=at)
    connection.execute(
        f"INSERT INTO {table} (id, entity_type, entity_id, op, event_version, status, attempts, "
        "replay_count, created_at, updated_at, processed_at) "
        "VALUES (%s, %s, %s, 'upsert', 1, 'done', 1, 0, %s, %s, %s)",
        (
            uuid.UUID(int=number),
            "chronicle_event" if "chronicle" in table else "book",
            uuid.UUID(int=99),
            *(moment,) * 3,
        ),
    )
