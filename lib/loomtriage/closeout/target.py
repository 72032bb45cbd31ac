"""Target: which database is this, by its own word, and may this role do what is asked?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import psycopg

from loomtriage.errors import Refused, SourceUnavailable, UsageError
from loomtriage.postgres.dsn import read_dsn, server_of
from loomtriage.postgres.refusals import refusal

Connection = psycopg.Connection[tuple[object, ...]]
STATEMENT_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One database, as it is reached and as it names itself; no secret is part of it.

    Attributes:
        host, port: where the connection went.
        system: the server's own number, the same on its replicas.
        database: its name.
        project, env: the environment sentinel, empty where there is none.
        lab_id: the lab marker, empty outside a lab.
    """

    host: str
    port: int
    system: str
    database: str
    project: str = ""
    env: str = ""
    lab_id: str = ""

    def as_json(self) -> dict[str, object]:
        """The fields by name."""
        return asdict(self)

    @property
    def identity(self) -> tuple[str, ...]:
        """What does not depend on the way that led there."""
        return (self.system, self.database, self.project, self.env, self.lab_id)

    def __str__(self) -> str:
        named = f"env {self.env} of {self.project}" if self.env else "no environment sentinel"
        lab = f", lab {self.lab_id[:8]}" if self.lab_id else ""
        return f"{self.database} at {self.host}:{self.port} ({named}{lab})"


@contextmanager
def connected(
    dsn: str, *, read_only: bool, statement_timeout_s: float = STATEMENT_TIMEOUT_S
) -> Iterator[Connection]:
    """One connection with a statement timeout, in autocommit mode when it may write.

    Raises:
        UsageError: there is no DSN, or the text is none.
        SourceUnavailable: the database does not answer, or a statement took too long.
        Refused: the role may not do what was asked.
    """
    if not dsn.strip():
        raise UsageError("No database is configured.", hint="Set the variable that holds its DSN.")
    options = (
        f"-c statement_timeout={int(statement_timeout_s * 1000)} -c lock_timeout=5000 "
        f"-c idle_in_transaction_session_timeout=60000"
    )
    if read_only:
        options += " -c default_transaction_read_only=on"
    asked, was_in = read_dsn(dsn), False
    try:
        with psycopg.connect(
            asked,
            connect_timeout=5,
            autocommit=not read_only,
            options=options,
            application_name="loomtriage close-out",
        ) as connection:
            was_in = True
            yield connection
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(
            f"The database role may not do this: {_first_line(error)}.",
            hint="Use the role that `loomtriage close-out sql` describes.",
        ) from None
    except psycopg.OperationalError as error:
        if was_in:
            raise SourceUnavailable(
                f"The outbox database: {_first_line(error)}.",
                hint="Check its load; nothing is half done.",
            ) from None
        # Before the login the driver's text may quote parts of the DSN.
        word, hint = refusal(error.sqlstate or "", str(error), was_in=False)
        raise SourceUnavailable(
            f"The outbox database at {server_of(asked)} cannot be used.",
            hint="It refuses this role or password." if word == "auth" else hint,
        ) from None


def read_target(connection: Connection) -> Target:
    """Which database this is."""
    at = connection.info
    project, env = _row(connection, "environment_sentinel", "project, env", "WHERE id = 1")
    (lab_id,) = _row(connection, "lab_marker", "lab_id", "")[:1]
    system = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
    return Target(
        host=at.host,
        port=at.port,
        system=str(system[0]) if system else "",
        database=at.dbname,
        project=project,
        env=env,
        lab_id=lab_id,
    )


def refuse_other_target(planned: Target, found: Target) -> None:
    """Refuse a database that is not the one of the plan.

    Raises:
        Refused: they differ.
    """
    if planned.identity != found.identity:
        raise Refused(
            f"The plan was made for {planned}, this is {found}.",
            hint="Make a plan for this database: loomtriage close-out plan.",
        )


def refuse_unconfirmed(found: Target, confirmed: str) -> None:
    """Refuse unless the environment was typed as the database's sentinel says it.

    Raises:
        Refused: there is no sentinel, or it says something else.
    """
    if not found.env:
        raise Refused(
            "The database has no environment sentinel, so nobody can confirm where this is.",
            hint="Add the row 1 of environment_sentinel (project, env).",
        )
    if confirmed != found.env:
        typed = f"confirmed is {confirmed[:40]!r}" if confirmed else "nothing was confirmed"
        raise Refused(
            f"This is env {found.env!r}, and {typed}.", hint=f"Add --confirm-env {found.env}."
        )


def refuse_strong_role(connection: Connection, table: str) -> None:
    """Refuse a role that could do more than a replay needs.

    Raises:
        Refused: it may delete rows of the outbox.
    """
    found = connection.execute(
        "SELECT has_table_privilege(%s, 'DELETE') OR has_table_privilege(%s, 'TRUNCATE')",
        (table, table),
    ).fetchone()
    if found and found[0]:
        raise Refused(
            f"This role may delete rows of {table}; a replay never needs to.",
            hint="Use the role that `loomtriage close-out sql` describes.",
        )


def _row(connection: Connection, table: str, columns: str, where: str) -> tuple[str, ...]:
    """The one row of a small table as text; empty texts where it is absent or not readable."""
    nothing = tuple("" for _ in columns.split(","))
    readable = connection.execute(
        "SELECT has_table_privilege(to_regclass(%s), 'SELECT')", (table,)
    ).fetchone()
    if not readable or not readable[0]:
        return nothing
    statement = f"SELECT {columns} FROM {table} {where} LIMIT 1"  # noqa: S608  (our own words)
    found = connection.execute(statement.encode()).fetchone()
    return tuple(str(value) for value in found) if found else nothing


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200].rstrip(".") if str(error).strip() else "no word"
