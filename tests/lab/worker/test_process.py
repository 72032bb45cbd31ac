"""The worker as a process: ready, scraped, stopped and refused the way a supervisor sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.parse

import httpx
import pytest

from tests.lab.pipeline import Bench, database, skip_without_server
from tests.lab.services import answers, free_ports, service, until

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def dsn():
    with skip_without_server(), database() as found:
        yield found


@pytest.fixture(scope="module")
def elastic():
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with service("elastic", {"LAB_PORT": str(port)}, f"{url}/healthz"):
        yield url


class Process:
    """One worker process with its log in a file."""

    def __init__(self, dsn, elastic, folder, **env):
        metrics, http = free_ports(2)
        self.metrics_url = f"http://127.0.0.1:{metrics}/metrics"
        self.http_url = f"http://127.0.0.1:{http}"
        self.file = folder / f"worker-{metrics}.log"
        settings = {
            "DATABASE_URL": dsn.replace("postgresql://", "postgresql+psycopg://"),
            "WORDLOOM_ENV": "sandbox",
            "ELASTIC_URL": elastic,
            "ELASTIC_INDEX": "sandbox-index",
            "OUTBOX_METRICS_PORT": str(metrics),
            "OUTBOX_HTTP_PORT": str(http),
            "OUTBOX_POLL_INTERVAL_MS": "20",
            "OUTBOX_RECLAIM_INTERVAL_SECONDS": "0.2",
            "OTEL_SDK_DISABLED": "true",
        }
        with self.file.open("wb") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "loomtriage.lab.worker"],
                env={**os.environ, **settings, **env},
                stderr=log,
                stdout=log,
            )

    def ready(self):
        until(lambda: answers(f"{self.http_url}/readyz") or self.popen.poll() is not None, "ready")
        assert self.popen.poll() is None, self.file.read_text()
        return self

    def lines(self):
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def count(self, series):
        text = httpx.get(self.metrics_url, trust_env=False).text
        found = [line for line in text.splitlines() if line.startswith(f"{series} ")]
        return float(found[0].split()[-1]) if found else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.send_signal(signal.SIGCONT)
        self.popen.kill()
        self.popen.wait()


P = 'projection="search_index_to_elastic"'


def test_worker_projects_and_stops_cleanly(dsn, elastic, tmp_path):
    """A row becomes a document; SIGTERM ends with code 0; every line is JSON without a secret."""
    bench = Bench(dsn)
    secret = urllib.parse.urlsplit(dsn).password
    with Process(dsn, elastic, tmp_path).ready() as worker:
        row_id = bench.row()
        until(lambda: bench.state(row_id)["status"] == "done", "the row")
        assert worker.count(f'outbox_processed_total{{op="upsert",{P}}}') == 1
        assert worker.count(f"outbox_owner_mismatch_skips_total{{{P}}}") == 0
        row = bench.state(row_id)
        doc = httpx.get(f"{elastic}/sandbox-index/_doc/block:{row['entity_id']}", trust_env=False)
        mapping = httpx.get(f"{elastic}/sandbox-index/_mapping", trust_env=False).json()
        worker.popen.terminate()
        assert worker.popen.wait(60) == 0
        lines = worker.lines()
    assert doc.json()["_source"]["text"] == "warp and weft"
    assert mapping["sandbox-index"]["mappings"]["dynamic"] == "strict"
    events = [line.get("event") for line in lines]
    assert events.count("outbox.row_done") == 1
    assert events[-1] == "worker.stopped"
    assert secret
    assert secret not in json.dumps(lines)


def test_rows_of_a_killed_worker_are_reclaimed_by_the_next(dsn, elastic, tmp_path):
    """A worker that dies with rows in hand leaves them stuck until another returns them."""
    bench = Bench(dsn)
    sleepy = {"OUTBOX_LEASE_SECONDS": "2", "OUTBOX_EXPERIMENT_PROCESS_SLEEP_SECONDS": "60"}
    with Process(dsn, elastic, tmp_path, OUTBOX_WORKER_ID="first", **sleepy).ready() as first:
        row_id = bench.row()
        until(lambda: bench.state(row_id)["owner"] == "first", "the claim")
        first.popen.kill()
        first.popen.wait()
    with Process(dsn, elastic, tmp_path, OUTBOX_WORKER_ID="second").ready() as second:
        until(lambda: bench.state(row_id)["status"] == "done", "the row")
        (line,) = [line for line in second.lines() if line.get("event") == "outbox.reclaimed"]
        assert second.count(f"outbox_reclaimed_total{{{P}}}") == 1
    assert line["previous_owner"] == "first"
    assert bench.state(row_id)["attempts"] == 0


def test_live_worker_keeps_its_claim_beyond_the_lease(dsn, elastic, tmp_path):
    """A slow batch renews its lease: nobody reclaims it, and it is acknowledged at the end."""
    bench = Bench(dsn)
    slow = {"OUTBOX_LEASE_SECONDS": "3", "OUTBOX_EXPERIMENT_PROCESS_SLEEP_SECONDS": "7"}
    with Process(dsn, elastic, tmp_path, **slow).ready() as worker:
        row_id = bench.row()
        until(lambda: bench.state(row_id)["status"] == "done", "the row")
        events = {line.get("event") for line in worker.lines()}
    assert "outbox.reclaimed" not in events
    assert "outbox.row_lost" not in events


@pytest.mark.parametrize(
    ("env", "code", "says"),
    [
        ({"WORDLOOM_ENV": "dev"}, 5, "marked sandbox"),
        ({"DATABASE_URL": "sqlite://"}, 2, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/x"}, 3, "does not answer"),
        ({"OUTBOX_BULK_SIZE": "many"}, 2, "OUTBOX_BULK_SIZE"),
    ],
)
def test_worker_that_may_not_start_says_why(dsn, elastic, tmp_path, env, code, says):
    """A refusal is one JSON line with the fix, an exit code of the table, and no secret."""
    with Process(dsn, elastic, tmp_path, **env) as worker:
        assert worker.popen.wait(60) == code
        (line,) = worker.lines()
    assert says in line["message"]
    assert "hunter2" not in json.dumps(line)


def test_taken_port_is_refused(dsn, elastic, tmp_path):
    """A second worker on the same ports is refused instead of working unseen."""
    with Process(dsn, elastic, tmp_path).ready() as first:
        port = str(urllib.parse.urlsplit(first.metrics_url).port)
        with Process(dsn, elastic, tmp_path, OUTBOX_METRICS_PORT=port) as second:
            assert second.popen.wait(60) == 2
            assert port in second.lines()[-1]["message"]
