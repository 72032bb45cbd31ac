"""A running lab is changed by order, and always comes back to what it was started with."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import uuid
from datetime import datetime
from pathlib import Path

import httpx
import psycopg
import pytest

from loomtriage.errors import TriageError, UsageError
from loomtriage.lab import control, status, up
from loomtriage.lab.alive import Kernel, is_same
from loomtriage.lab.control import Phase
from loomtriage.lab.services import ORDERS
from tests.lab.services import until

pytestmark = pytest.mark.lab


@pytest.fixture
def lab(lab):
    """The shared lab, brought back whatever a test did to it."""
    yield lab
    control.reset(lab)
    assert control.strayed(lab) == ()


def events(lab, service, name):
    """Log lines of an event that a service wrote."""
    lines = (lab.logs / f"{service}.log").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line.get("event") == name]


def send_signal(lab, service, number):
    """Send a signal to all processes of a service; its leader."""
    pid = control.pid_of(lab, service)
    os.killpg(pid, number)
    return pid


def write_block(lab, text):
    """Write a book and a block of it, so that both projections have work."""
    book, block = uuid.uuid4(), uuid.uuid4()
    with httpx.Client(base_url=lab.api_url, trust_env=False, timeout=10) as api:
        assert api.put(f"/books/{book}", json={"title": "loom"}).is_success
        assert api.put(f"/blocks/{block}", json={"text": text, "book_id": str(book)}).is_success
    return block


def rows(lab, statement, *values):
    with psycopg.connect(lab.triage_dsn) as connection:
        return connection.execute(statement, values).fetchall()


def test_a_service_gets_other_variables_until_the_reset(lab):
    """A restarted worker runs with what it was given, and reset takes it away; twice is once."""
    before = control.process_of(lab, "worker")
    changed = control.restart(lab, "worker", env={"OUTBOX_WORKER_ID": "another"})
    assert (changed.phase, changed.env) == (Phase.READY, {"OUTBOX_WORKER_ID": "another"})
    assert not is_same(before.pid, before.mark)
    assert events(lab, "worker", "worker.starting")[-1]["worker_id"] == "another"
    assert control.start(lab, "worker", env={"OUTBOX_WORKER_ID": "another"}).pid == changed.pid
    assert control.strayed(lab) == ("worker",)
    assert control.reset(lab) == ("worker",)
    assert control.reset(lab) == ()
    assert events(lab, "worker", "worker.starting")[-1]["worker_id"] == "worker-1"


def test_paused_killed_and_stopped_services_are_told_apart_and_brought_back(lab):
    """Nothing that an order or a signal did takes the lab down, and reset undoes all of it."""
    others = {s.name: s.pid for s in status(lab.root) if s.name not in {"worker", "chronicle"}}
    paused = send_signal(lab, "worker", signal.SIGSTOP)
    until(lambda: control.process_of(lab, "worker").kernel is Kernel.STOPPED, "the pause")
    assert control.process_of(lab, "worker").phase is Phase.READY
    send_signal(lab, "chronicle", signal.SIGKILL)
    until(lambda: control.process_of(lab, "chronicle").phase is Phase.DEAD, "the death")
    assert control.strayed(lab) == ("worker", "chronicle")
    control.stop(lab, "api")
    control.stop(lab, "api")
    assert control.process_of(lab, "api").phase is Phase.STOPPED
    assert set(control.reset(lab)) == {"api", "chronicle"}
    assert control.process_of(lab, "worker").pid == paused
    kept = {name: pid for name, pid in others.items() if name != "api"}
    assert kept.items() <= {s.name: s.pid for s in status(lab.root)}.items()


def test_orders_that_make_no_sense_change_nothing(lab):
    """An unknown service, a bad variable and a line that is no order are refused by name."""
    with pytest.raises(UsageError, match="no service 'wroker'"):
        control.restart(lab, "wroker")
    with pytest.raises(UsageError, match="'path' cannot be set"):
        control.restart(lab, "worker", env={"path": "x"})
    with socket.socket(socket.AF_UNIX) as asker:
        folder = os.open(lab.root, os.O_RDONLY)
        asker.connect(f"/proc/self/fd/{folder}/{ORDERS}")
        os.close(folder)
        asker.sendall(b"[[[[\n")
        assert b'"ok": false' in asker.recv(4096)
    assert control.strayed(lab) == ()


def test_a_service_that_does_not_come_up_is_told_with_its_last_words(lab):
    """A wrong setting is an error with the service's own sentence, and the lab lives on."""
    with pytest.raises(TriageError, match=r"worker ended during the start .*soon"):
        control.restart(lab, "worker", env={"OUTBOX_POLL_INTERVAL_SECONDS": "soon"})
    assert control.process_of(lab, "worker").phase is Phase.DEAD
    assert control.reset(lab) == ("worker",)


def test_a_second_worker_is_scraped_while_it_runs_and_only_then(lab):
    """The spare worker shares the work under its own name, and no target stays behind."""

    def targets():
        found = httpx.get(f"{lab.prometheus_url}/api/v1/targets", trust_env=False).json()
        return {t["labels"]["instance"] for t in found["data"]["activeTargets"]}

    spare = f"127.0.0.1:{lab.ports['worker_2']}"
    assert "worker-2" not in {service.name for service in status(lab.root)}
    assert spare not in targets()
    control.start(lab, "worker-2")
    until(lambda: spare in targets(), "its target")
    control.stop(lab, "worker")
    write_block(lab, "second")
    until(lambda: events(lab, "worker-2", "outbox.row_done"), "its work")
    control.reset(lab)
    assert control.process_of(lab, "worker-2").phase is Phase.OFF
    assert "worker-2" not in {service.name for service in status(lab.root)}
    until(lambda: spare not in targets(), "the end of its target")


def test_the_chronicle_shows_its_version_on_rows_spans_and_lines_and_on_no_metric(lab):
    """A version switched by order is written with the next entries and labels no series."""
    control.restart(lab, "chronicle", env={"CHRONICLE_PROJECTION_VERSION": "2"})
    block = write_block(lab, "warp and weft")
    sought = "SELECT projection_version, summary FROM chronicle_entries WHERE block_id = %s"
    until(lambda: rows(lab, sought, block), "the entry")
    assert rows(lab, sought, block) == [(2, "block created: warp and weft")]
    until(lambda: events(lab, "chronicle", "outbox.row_done"), "its line")
    assert events(lab, "chronicle", "outbox.row_done")[-1]["projection_version"] == 2
    url = f"http://127.0.0.1:{lab.ports['chronicle']}/metrics"
    metrics = httpx.get(url, trust_env=False).text
    assert 'outbox_processed_total{op="upsert",projection="chronicle_events_to_entries"}' in metrics
    assert "version" not in metrics.replace("python_info", "").partition("outbox_")[2]
    query = {"service": "wordloom-chronicle-outbox-worker", "limit": 20}

    def versions():
        found = httpx.get(f"{lab.jaeger_url}/api/traces", params=query, trust_env=False).json()
        tags = [tag for t in found["data"] for s in t["spans"] for tag in s["tags"]]
        return {t["value"] for t in tags if t["key"] == "wordloom.projection_version"}

    until(lambda: "2" in versions(), "its spans")


def test_a_skewed_worker_logs_another_time(lab):
    """The clock of a worker is spoilt from outside, and right again after the reset."""
    control.restart(lab, "worker", env=control.skewed(3600))
    stamp = events(lab, "worker", "worker.starting")[-1]["ts"]
    assert 3500 < datetime.fromisoformat(stamp).timestamp() - time.time() < 3700


def test_somebody_elses_worker_runs_in_ours_place_once_or_twice(own_root, said):
    """A worker that shares no line with ours is started, scraped, doubled, paused and reset."""
    foreign = Path(__file__).with_name("foreign_worker.py")
    command = (sys.executable, str(foreign))
    lab = up(own_root, ports="auto", say=said.append, load_per_s=5, worker_cmd=command)
    done = "SELECT count(*) FROM search_outbox_events WHERE status = 'done'"
    until(lambda: rows(lab, done)[0][0] > 5, "its work")
    assert control.start(lab, "worker-2", env={"UNHEARD_OF": "1"}).phase is Phase.READY
    for port in ("worker", "worker_2"):
        url = f"http://127.0.0.1:{lab.ports[port]}/metrics"
        metrics = httpx.get(url, trust_env=False).text
        assert 'outbox_lag_events{projection="search_index_to_elastic"}' in metrics
    log = (lab.logs / "worker-2.log").read_text()
    assert log.startswith("[OK]")
    assert '"worker_id": "worker-2"' in log
    assert "trace_id" not in log
    send_signal(lab, "worker", signal.SIGSTOP)
    control.reset(lab)
    assert control.strayed(lab) == ()
