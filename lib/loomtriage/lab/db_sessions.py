"""Database sessions: how a lab process borrows PostgreSQL connections, bounded and redialled."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg

from loomtriage.errors import Refused, UsageError

Connection = psycopg.Connection[tuple[object, ...]]


def plain_dsn(url: str) -> str:
    """A DSN that psycopg takes, from the SQLAlchemy form that Wordloom writes.

    Raises:
        UsageError: it names no PostgreSQL database.
    """
    scheme, separator, rest = url.partition("://")
    name, _, driver = scheme.partition("+")
    if not separator or name not in ("postgresql", "postgres") or driver not in ("", "psycopg"):
        raise UsageError(
            "DATABASE_URL is not a PostgreSQL URL.",
            hint="Write postgresql://user@127.0.0.1:5435/name; +psycopg may follow the scheme.",
        )
    return f"postgresql://{rest}"


def shown_dsn(dsn: str) -> str:
    """Host, port and database of a DSN, for logs: no user, no password, no options."""
    parts = urlsplit(dsn)
    where = parts.netloc.rpartition("@")[2]
    return f"{where}{parts.path}"


class Sessions:
    """A small pool: an idle connection is lent again, a broken one is closed and redialled.

    Every connection is in autocommit mode; callers open transactions where they need one.

    Args:
        dsn: as of `plain_dsn`.
        name: the application_name that pg_stat_activity and pg_locks show.
        lock_timeout_s: how long a statement waits for a lock before it is refused.
    """

    def __init__(self, dsn: str, *, name: str, lock_timeout_s: float = 2.0) -> None:
        self._dsn = dsn
        self._name = name
        self._options = (
            f"-c lock_timeout={int(lock_timeout_s * 1000)} -c statement_timeout=10000"
            " -c idle_in_transaction_session_timeout=15000"
        )
        self._idle: list[Connection] = []
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def borrow(self) -> Iterator[Connection]:
        """Lend a connection for a `with` block."""
        with self._guard:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._dial()
        try:
            yield connection
        except psycopg.OperationalError as error:
            # A refused lock leaves the connection usable; anything else may have ended it, and
            # with it the idle ones: a restarted server knows none of them.
            if connection.broken or not isinstance(error, psycopg.errors.LockNotAvailable):
                connection.close()
                self.close()
            raise
        finally:
            if not connection.closed:
                with self._guard:
                    self._idle.append(connection)

    def _dial(self) -> Connection:
        return psycopg.connect(
            self._dsn,
            autocommit=True,
            application_name=self._name[:63],
            connect_timeout=2,
            options=self._options,
        )

    def close(self) -> None:
        """Close what is idle."""
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def guard_environment(sessions: Sessions, *, wanted: str) -> str:
    """The environment that the database says it is, which must be the wanted one.

    Args:
        wanted: WORDLOOM_ENV; empty takes the database's word.

    Raises:
        Refused: the database is marked otherwise, or not at all.
    """
    with sessions.borrow() as connection:
        marked = connection.execute("SELECT to_regclass('environment_sentinel')").fetchone()
        row = None
        if marked is not None and marked[0] is not None:
            row = connection.execute(
                "SELECT env FROM environment_sentinel WHERE id = 1 AND project = 'wordloom'"
            ).fetchone()
    found = "" if row is None else str(row[0])
    if not found or (wanted and found != wanted):
        raise Refused(
            f"The database is marked {found or 'as nothing'}, WORDLOOM_ENV asks for {wanted!r}.",
            hint="Point DATABASE_URL at a database whose environment_sentinel says so.",
        )
    return found
