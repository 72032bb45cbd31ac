"""A real PostgreSQL, and workers in this process whose metrics, spans and log lines can be read."""

from __future__ import annotations

import json
import logging
import secrets
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from psycopg.rows import dict_row

from loomtriage.contract.keys import SEARCH
from loomtriage.errors import Refused
from loomtriage.lab.outbox.assembly import Signals
from loomtriage.lab.outbox.loop import Worker
from loomtriage.lab.servers import postgres
from loomtriage.lab.state import OWNER_ROLE, database_url
from loomtriage.lab.telemetry.jsonlog import EventLog, JsonLines
from loomtriage.lab.telemetry.meters import (
    BULK_METRICS,
    WORKER_METRICS,
    Meters,
    warm_bulk,
    warm_worker,
)
from loomtriage.lab.worker.es_client import ElasticClient
from loomtriage.lab.worker.parts import build_worker
from loomtriage.lab.worker.settings import read_settings
from tests.lab.services import free_ports, until

TABLES = "search_outbox_events, chronicle_outbox_events, search_index, blocks, books, tags"
Script = Callable[[httpx.Request], httpx.Response]


@contextmanager
def database() -> Iterator[str]:
    """The DSN of a furnished lab database; the server ends with the block.

    Raises:
        Refused: no PostgreSQL server starts here; tests skip with that reason.
    """
    with tempfile.TemporaryDirectory(prefix="lt-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        root.chmod(0o711)
        server = postgres.find_server(
            root, wheel=postgres.wheel_bin(), system=postgres.system_bin()
        )
        token, (port,) = secrets.token_hex(8), free_ports(1)
        postgres.make_cluster(server, data=root / "pg", token=token)
        process = subprocess.Popen(
            postgres.command(server, data=root / "pg", port=port),
            env=dict(postgres.ENVIRONMENT),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            user=server.account.uid if server.account else None,
            group=server.account.gid if server.account else None,
            extra_groups=() if server.account else None,
        )
        try:
            until(lambda: postgres.accepts(port, token=token), "PostgreSQL")
            postgres.furnish(port, token=token, lab_id="test")
            yield database_url(port, role=OWNER_ROLE, token=token)
        finally:
            process.send_signal(2)
            process.wait(20)


class Lines(logging.Handler):
    """Keeps log lines as the parsed JSON that would stand on stderr."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.lines: list[dict] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))

    def of(self, event: str) -> list[dict]:
        return [line for line in self.lines if line.get("event") == event]


@dataclass
class Bench:
    """One database with workers beside it."""

    dsn: str

    def __post_init__(self) -> None:
        self.run(f"TRUNCATE {TABLES} CASCADE")

    def run(self, statement: str, *values: object) -> list[dict]:
        """Run one statement and fetch what it returns."""
        with psycopg.connect(self.dsn, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    @staticmethod
    def rows_of(dsn: str) -> list[dict]:
        """All outbox rows, without clearing anything first."""
        with psycopg.connect(dsn, row_factory=dict_row) as connection:
            return connection.execute("SELECT * FROM search_outbox_events").fetchall()

    def row(self, op: str = "upsert", **columns: object) -> uuid.UUID:
        """Put one outbox row in, with its search row unless told otherwise; its id."""
        entity_id = columns.pop("entity_id", None) or uuid.uuid4()
        has_source = columns.pop("has_source", op == "upsert")
        row = {
            "id": uuid.uuid4(),
            "entity_type": "block",
            "entity_id": entity_id,
            "op": op,
            "event_version": time.time_ns() // 1000,
            "replay_count": 0,
            **columns,
        }
        # The source first: a living worker may take the row the moment it is there.
        if has_source:
            self.run(
                "INSERT INTO search_index (id, entity_type, entity_id, text, event_version)"
                " VALUES (%s, 'block', %s, 'warp and weft', %s) ON CONFLICT DO NOTHING",
                *(uuid.uuid4(), entity_id, row["event_version"]),
            )
        names = ", ".join(row)
        marks = ", ".join(["%s"] * len(row))
        self.run(f"INSERT INTO search_outbox_events ({names}) VALUES ({marks})", *row.values())
        return row["id"]

    def state(self, row_id: uuid.UUID) -> dict:
        """The outbox row as it is now."""
        return self.run("SELECT * FROM search_outbox_events WHERE id = %s", row_id)[0]

    def worker(self, script: Script, **env: str) -> Watched:
        """A worker whose Elasticsearch answers as the script says."""
        return Watched(self.dsn, script, env)


class Watched:
    """A worker and everything that it said."""

    def __init__(self, dsn: str, script: Script, env: dict[str, str]) -> None:
        settings = read_settings(
            {"DATABASE_URL": dsn, "OUTBOX_WORKER_ID": "w1", "WORDLOOM_ENV": "sandbox", **env}
        )
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        logger = logging.Logger(f"test.{settings.outbox.worker_id}", logging.DEBUG)  # noqa: LOG001
        self.log = Lines()
        logger.addHandler(self.log)
        self.meters = Meters((*WORKER_METRICS, *BULK_METRICS), bound={"projection": SEARCH})
        warm_worker(self.meters)
        warm_bulk(self.meters)
        elastic = ElasticClient(
            "http://elastic.test", "i", provider=provider, transport=httpx.MockTransport(script)
        )
        log = EventLog(logger=logger, bound={"env": "sandbox", "projection": SEARCH})
        signals = Signals(provider=provider, meters=self.meters, log=log)
        self.worker: Worker = build_worker(settings, elastic=elastic, signals=signals)

    def count(self, name: str, **labels: str) -> float:
        """A metric's value, 0 when the series is absent."""
        value = self.meters.registry.get_sample_value(name, {"projection": SEARCH, **labels})
        return 0.0 if value is None else value

    def spans(self, name: str) -> list[ReadableSpan]:
        """Finished spans of a name, oldest first."""
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def turns(self, most: int = 20) -> int:
        """Let the loop turn until it finds nothing to do; how many batches it processed."""
        for done in range(most):
            if not self.worker.turn():
                return done
        raise AssertionError(f"still busy after {most} turns")


def answer(status: int, kind: str = "", reason: str = "because") -> httpx.Response:
    """An Elasticsearch answer to one document."""
    body = {"error": {"type": kind, "reason": reason}, "status": status} if kind else {}
    return httpx.Response(status, json=body)


def always(status: int, kind: str = "") -> Script:
    """A script that answers every request alike."""
    return lambda _request: answer(status, kind)


def refuse(request: httpx.Request) -> httpx.Response:
    """A script of an Elasticsearch that is down."""
    raise httpx.ConnectError("All connection attempts failed", request=request)


@contextmanager
def skip_without_server() -> Iterator[None]:
    """Turn a machine without PostgreSQL into a skip with its reason."""
    try:
        yield
    except Refused as error:
        pytest.skip(str(error))
