"""Rules that say no before anything is touched."""

from __future__ import annotations

import os
import signal
import uuid
from contextlib import contextmanager, suppress
from dataclasses import replace

import httpx
import psycopg
import pytest

from loomtriage.drills.book import DRILLS
from loomtriage.drills.faults.http import HttpRefuse
from loomtriage.drills.guards import (
    refuse_foreign_writes,
    refuse_marks,
    refuse_nothing_to_do,
    refuse_open_journal,
)
from loomtriage.drills.journal import open_journal
from loomtriage.drills.lock import drill_lock
from loomtriage.drills.loopback import refuse_strangers
from loomtriage.drills.record import Step
from loomtriage.drills.restore import recover
from loomtriage.drills.rows import Marks, RowCounts, count_rows
from loomtriage.errors import Exit, Refused
from loomtriage.lab import status
from tests.drills.rehearsal import ES_DOWN, SHORT, home_of, left_behind, rehearse
from tests.drills.strangers import hollow_lab

HASTY = replace(SHORT, steady_s=1.0)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.5:9200",
        "http://elastic.prod.example:9200",
        "postgresql://lab:pw@db.example/wordloom_dev",
        "http://127.0.0.1.example:80",
        "http://user@example:80/127.0.0.1",
        "http://",
    ],
)
def test_host_outside_this_machine_is_refused(url):
    """A drill never speaks to another machine, and the refusal shows no password."""
    with pytest.raises(Refused, match="may not touch host") as refused:
        refuse_strangers(["http://127.0.0.1:1", url])
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    ("marks", "rule"),
    [
        (Marks(), "no sentinel"),
        (Marks(project="wordloom", env="dev", lab_id="a1"), "env 'dev'"),
        (Marks(project="wordloom", env="prod", lab_id="a1"), "env 'prod'"),
        (Marks(project="other", env="sandbox", lab_id="a1"), "of 'other'"),
        (Marks(project="wordloom", env="sandbox"), "no lab marker"),
        (Marks(project="wordloom", env="sandbox", lab_id="b2"), "marker of another lab"),
    ],
)
def test_database_that_is_not_this_lab_is_refused(marks, rule):
    """Sentinel and marker must both say that this is this very lab."""
    with pytest.raises(Refused, match=rule):
        refuse_marks(marks, lab_id="a1")
    refuse_marks(Marks(project="wordloom", env="sandbox", lab_id="a1"), lab_id="a1")


@contextmanager
def sql(lab, change: str, back: str):
    """Change the lab's database, and change it back."""
    with psycopg.connect(lab.dsn, autocommit=True) as connection:
        connection.execute(change)
        try:
            yield lab
        finally:
            connection.execute(back)


@contextmanager
def another_environment(lab):
    change = "UPDATE environment_sentinel SET env = '{}' WHERE id = 1"
    with sql(lab, change.format("dev"), change.format("sandbox")):
        yield lab


@contextmanager
def no_marker(lab):
    with sql(
        lab, "ALTER TABLE lab_marker RENAME TO lab_m", "ALTER TABLE lab_m RENAME TO lab_marker"
    ):
        yield lab


@contextmanager
def another_labs_proxy(lab):
    change = "UPDATE lab_marker SET lab_id = '{}'"
    with sql(lab, change.format("b2"), change.format(lab.lab_id)):
        yield replace(lab, lab_id="b2")


@contextmanager
def rows_that_do_not_drain(lab):
    row = uuid.uuid4()
    insert = (
        "INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status,"
        f" replay_count, next_retry_at) VALUES ('{row}', 'block', '{row}', 'upsert', 1, 'pending',"
        " 0, now() + interval '1 day')"
    )
    with sql(lab, insert, f"DELETE FROM search_outbox_events WHERE id = '{row}'"):
        yield lab


@contextmanager
def fault_of_somebody_else(lab):
    headers = {"X-Lab-Token": lab.token}
    body = {"id": "mine", "kind": "answer", "status": 503, "lease_s": 30}
    httpx.post(f"{lab.proxy_url}/faults", json=body, headers=headers).raise_for_status()
    try:
        yield lab
    finally:
        httpx.delete(f"{lab.proxy_url}/faults/mine", headers=headers)


@contextmanager
def stopped_worker(lab):
    (pid,) = (service.pid for service in status(lab.root) if service.name == "worker")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield lab
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def open_drill(lab):
    journal = open_journal(home_of(lab), lab_id=lab.lab_id)
    journal.write(Step.LOCK)
    try:
        yield lab
    finally:
        journal.write(Step.CLOSE)


@contextmanager
def running_drill(lab):
    with drill_lock(home_of(lab), lab.lab_id):
        yield lab


@pytest.mark.lab
@pytest.mark.parametrize(
    ("condition", "rule"),
    [
        (another_environment, "sentinel says env 'dev'"),
        (no_marker, "no lab marker"),
        (another_labs_proxy, "fault proxy belongs to another lab"),
        (rows_that_do_not_drain, "1 outbox rows are not done"),
        (fault_of_somebody_else, "stand in the lab already"),
        (stopped_worker, "stand in the lab already: worker"),
        (open_drill, "is open: its drill got as far as lock"),
        (running_drill, f"held by process {os.getpid()}"),
    ],
    ids=lambda part: part.__name__ if callable(part) else "rule",
)
def test_drill_is_refused_before_anything_is_touched(lab, condition, rule):
    """Each rule ends the drill with exit code 5, without a fault and without one row of load."""
    rows = count_rows(lab).total()
    with condition(lab) as site, pytest.raises(Refused, match=rule) as refused:
        rehearse(site, times=HASTY)
    assert refused.value.exit_code is Exit.REFUSED
    assert count_rows(lab).total() == rows
    assert left_behind(lab) == []


def test_journal_without_a_whole_line_stops_nobody(tmp_path):
    """A drill that just begins, or died before its first line, touched nothing; damage may hide."""
    folder = tmp_path / "journals"
    folder.mkdir()
    for name, data in (("empty", b""), ("torn", b'{"at":"2026')):
        (folder / f"{name}.jsonl").write_bytes(data)
    refuse_open_journal(tmp_path, "a1")
    assert recover(tmp_path, say=lambda _line: None).findings == ()
    (folder / "zeros.jsonl").write_bytes(b"\0\n")
    with pytest.raises(Refused, match="is damaged: a damaged line at byte 0"):
        refuse_open_journal(tmp_path, "a1")


@pytest.mark.lab
def test_drill_with_nothing_to_act_on_is_refused(lab):
    """A fault whose target the lab does not have is no drill."""
    drill = replace(ES_DOWN, fault=HttpRefuse(target="nowhere"))
    with pytest.raises(
        Refused, match="nothing to act on: the lab lacks a proxy in front of 'nowhere'"
    ):
        rehearse(lab, drill)
    assert left_behind(lab) == []


def test_dead_lab_is_refused_alike_by_every_drill(tmp_path):
    """Whatever a drill acts on, a lab that does not run is exit code 5, never missing data."""
    names = ("api", "proxy_admin", "elastic", "elastic_direct", "postgres", "worker_http", "worker")
    lab = hollow_lab(tmp_path / "labs" / "t", **dict.fromkeys(names, 1))
    for drill in DRILLS.all(noun="drill").values():
        with pytest.raises(Refused, match="The lab does not run"):
            rehearse(lab, drill, times=HASTY)
        with suppress(Refused):
            refuse_nothing_to_do(drill, lab)


@pytest.mark.lab
def test_full_disk_at_intent_means_no_fault(lab):
    """Where the intent cannot be written, the fault is not applied; exit code 5."""
    home = home_of(lab)
    journal_folder = home / "journals"

    def fill(point):
        if str(point) == "intent:before":
            journal_folder.rename(home / "gone")

    try:
        with pytest.raises(Refused, match="The fault was not applied"):
            rehearse(lab, on_point=fill)
    finally:
        (home / "gone").rename(journal_folder)
    (path,) = [p for p in journal_folder.glob("*.jsonl") if b"close" not in p.read_bytes()]
    path.unlink()
    assert left_behind(lab) == []


@pytest.mark.parametrize("came", [0, 1, 40])
def test_writes_of_somebody_else_are_refused(came):
    """Rows that the drill did not write would not add up; none is the control that passes."""
    before = RowCounts(by_status={"search": {"done": 10}})
    after = RowCounts(by_status={"search": {"done": 10, "pending": came}})
    if not came:
        refuse_foreign_writes(before, after)
        return
    with pytest.raises(Refused, match=f"{came} rows came"):
        refuse_foreign_writes(before, after)
