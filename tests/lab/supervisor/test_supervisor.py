"""A lab comes up whole or not at all, and goes down without leaving anything behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from loomtriage.errors import ContractBroken, Exit, Refused, TriageError, UsageError
from loomtriage.lab import down, is_alive, read_state, status, up
from loomtriage.lab.alive import is_same, started, wait_gone
from loomtriage.lab.supervisor import ports
from tests.lab.services import until

pytestmark = pytest.mark.lab

SERVICES = [
    *("supervisor", "prometheus", "postgres", "elastic", "proxy", "otlp", "api", "worker"),
    "chronicle",
]
SPARE_PORTS = {"worker_2", "worker_2_http"}
END_S = 30


def family(pid: int) -> dict[int, str]:
    """A process and all below it, each with the mark that tells it from a later one."""
    found = {pid: started(pid)}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found |= family(int(stat.parent.name))
    return {process: mark for process, mark in found.items() if mark is not None}


def gone(marks: dict[int, str]) -> bool:
    """Are all of them gone?"""
    return all(wait_gone(pid, mark, wait_s=END_S) for pid, mark in marks.items())


def states(root: Path) -> dict[str, str]:
    return {service.name: service.state for service in status(root)}


def words(root: Path) -> dict[str, str]:
    return {service.name: service.says for service in status(root)}


def test_a_folder_that_is_no_labs_is_never_touched(lab_home, said):
    """A folder with somebody's files is refused before its `data` could be wiped."""
    root = lab_home / "precious"
    (root / "data").mkdir(parents=True)
    (root / "data" / "thesis.txt").write_text("ten years")
    with pytest.raises(Refused, match="not a lab's folder"):
        up(root, ports="auto", say=said.append)
    assert (root / "data" / "thesis.txt").read_text() == "ten years"
    assert [path.name for path in root.iterdir()] == ["data"]


def test_a_taken_fixed_port_is_named_and_nothing_starts(own_root, said):
    """One of the fixed ports in use is told with its owner's process before anything starts."""
    free = [port for port in ports.FIXED.values() if ports.is_free(port)]
    with ExitStack() as held:
        for port in free[:1]:  # none is free while a lab of this machine's user stands
            held.enter_context(socket.create_server(("127.0.0.1", port)))
        with pytest.raises(Refused) as refused:
            up(own_root, ports="fixed", say=said.append)
    for port in free[:1]:
        assert f"port {port}" in refused.value.message
        assert f"process {os.getpid()}" in refused.value.message
    assert refused.value.exit_code is Exit.REFUSED
    assert said == []
    assert not (own_root / "data").exists()


def test_a_service_that_fails_fails_the_start_and_leaves_nothing(own_root, said):
    """A worker with a wrong setting is named with its last words, and nothing of the lab stays."""
    with pytest.raises(TriageError) as failed:
        up(
            own_root,
            ports="auto",
            say=said.append,
            worker_env={"OUTBOX_POLL_INTERVAL_SECONDS": "soon"},
        )
    assert failed.value.message.startswith("worker ended during the start")
    assert "soon" in failed.value.message
    assert "worker.log" in failed.value.hint
    assert "postgres is ready" in said
    records = json.loads((own_root / "services.json").read_text())
    assert all(record["mark"] is None for record in records)
    assert not any(is_same(r["pid"], started(r["pid"])) for r in records if r["pid"])
    with pytest.raises(UsageError):
        read_state(own_root)


def test_a_worker_command_that_is_no_program_is_refused(own_root, said):
    """A mistyped worker command is a usage error before anything starts."""
    with pytest.raises(UsageError, match="no-such-worker"):
        up(own_root, ports="auto", say=said.append, worker_cmd=("no-such-worker",))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_start_leaves_nothing(own_root, number):
    """Whoever waits for the lab may be interrupted or killed: what had started ends."""
    code = (
        "import sys; from pathlib import Path; from loomtriage.lab import up\n"
        "say = lambda line: print(line, flush=True)\n"
        "up(Path(sys.argv[1]), ports='auto', say=say)"
    )
    starter = subprocess.Popen(
        (sys.executable, "-c", code, str(own_root)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert any("is ready" in line for line in iter(starter.stdout.readline, ""))
    marks = family(int((own_root / "lab.lock").read_text()))
    assert len(marks) > 3
    starter.send_signal(number)
    starter.communicate()
    assert gone(marks)
    assert not (own_root / "lab.json").exists()


def test_a_second_start_at_the_same_folder_is_refused(lab, said):
    """Two labs never share a folder: the second is refused and told the first's process."""
    before = states(lab.root)
    with pytest.raises(Refused, match=f"process {lab.supervisor_pid}"):
        up(lab.root, ports="auto", say=said.append)
    assert states(lab.root) == before
    assert is_alive(read_state(lab.root))


def test_every_service_is_ready_with_its_port_and_process(lab):
    """A lab that is up has all its services ready, and its state is what was returned."""
    found = status(lab.root)
    assert [service.name for service in found] == SERVICES
    assert {service.state for service in found} == {"ready"}
    assert all(service.pid and started(service.pid) for service in found)
    assert read_state(lab.root) == lab


def test_the_lab_listens_on_the_loopback_only(lab):
    """All processes of a lab together listen on exactly its ports, and on 127.0.0.1 alone."""
    listening = ports.addresses_of(family(lab.supervisor_pid))
    taken = {name: port for name, port in lab.ports.items() if name not in SPARE_PORTS}
    assert listening == {("127.0.0.1", port) for port in taken.values()}


def test_secrets_of_the_lab_are_private(lab):
    """Token and passwords stand in files of this user only, and on no command line."""
    for name in ("lab.json", "services.json", "lab.lock", "prometheus.yml", "control.sock"):
        assert (lab.root / name).stat().st_mode & 0o077 == 0, name
    assert lab.logs.stat().st_mode & 0o077 == 0
    assert not (lab.root / "plan.json").exists()
    secret = lab.dsn.partition("@")[0].rpartition(":")[2]
    for pid in family(lab.supervisor_pid):
        command = Path(f"/proc/{pid}/cmdline").read_text()
        assert lab.token not in command
        assert secret not in command


def test_a_state_that_is_damaged_is_told(tmp_path):
    """A half state file is an error that says what to do, not a traceback."""
    (tmp_path / "lab.json").write_text('{"lab_id": "x"')
    with pytest.raises(ContractBroken):
        read_state(tmp_path)


def test_there_is_no_lab_where_none_was(tmp_path, said):
    """Asking for a lab that is not there is a usage error; taking it down says so and is fine."""
    for ask in (read_state, status):
        with pytest.raises(UsageError, match="No lab is at"):
            ask(tmp_path)
    down(tmp_path, said.append)
    assert said == [f"No lab is up at {tmp_path}."]


def test_killing_the_supervisor_leaves_nothing_and_the_next_start_works(lab, own_root, said):
    """After kill -9 nothing runs on, not even a worker below a shell, and the folder is usable."""
    worker = ("sh", "-c", f"{sys.executable} -m loomtriage.lab.worker; true")
    first = up(own_root, ports="auto", say=said.append, worker_cmd=worker)
    assert set(first.ports.values()).isdisjoint(lab.ports.values())
    marks = family(first.supervisor_pid)
    os.kill(first.supervisor_pid, signal.SIGKILL)
    assert gone(marks)
    assert not is_alive(first)
    assert set(states(own_root).values()) == {"dead"}
    log = (own_root / "logs" / "postgres.log").read_text()
    assert "database system is shut down" in log

    second = up(own_root, ports="auto", say=said.append)
    assert is_alive(second)
    assert is_alive(lab)
    assert second.lab_id != first.lab_id
    assert (own_root / "logs" / "previous" / "postgres.log").read_text() == log
    with psycopg.connect(second.triage_dsn) as connection:
        assert connection.execute("SELECT lab_id FROM lab_marker").fetchall() == [(second.lab_id,)]
    marks = family(second.supervisor_pid)
    os.kill(second.supervisor_pid, signal.SIGSTOP)  # even paused it can be taken down
    down(own_root, said.append)
    assert said[-1] == "The lab is down."
    assert gone(marks)
    down(own_root, said.append)
    assert said[-1] == f"No lab is up at {own_root}."


def test_a_dead_service_stays_dead_and_the_lab_ends_after_its_owner(own_root, said):
    """Nothing is restarted in silence; and a lab does not outlive the process that it serves."""
    owner = subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE)
    state = up(
        own_root,
        ports="auto",
        say=said.append,
        load_per_s=1,
        owner_pid=owner.pid,
        owner_grace_s=1.0,
    )
    assert states(own_root)["load"] == "ready"
    pid = next(service.pid for service in status(own_root) if service.name == "worker")
    os.kill(pid, signal.SIGKILL)
    until(lambda: "SIGKILL" in words(own_root)["worker"], "the worker's death in the status")
    assert states(own_root)["worker"] == "dead"
    others = {name: how for name, how in states(own_root).items() if name != "worker"}
    assert set(others.values()) == {"ready"}
    assert is_alive(state)
    marks = family(state.supervisor_pid)
    owner.communicate(b"\n")
    until(lambda: not is_alive(state), "the end of the lab")
    assert gone(marks)
