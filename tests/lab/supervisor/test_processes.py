"""No service outlives the process that owns it, and none answers for another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest

from loomtriage.lab.alive import is_same, started, wait_gone
from loomtriage.lab.supervisor import guard
from loomtriage.lab.supervisor.children import Child, answers
from loomtriage.lab.supervisor.lifetime import Service, StartFailed
from loomtriage.lab.supervisor.processes import Guard, end, spawn
from tests.lab.services import free_ports, until

PYTHON = (sys.executable, "-I", "-S", "-c")
SLEEP = "import time; time.sleep(600)"
DEAF = (
    f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); {SLEEP}"
)


def python(code: str, **options) -> subprocess.Popen:
    """A Python process in a session of its own."""
    return subprocess.Popen((*PYTHON, code), start_new_session=True, text=True, **options)


def test_the_guard_ends_what_is_listed_when_its_pipe_ends(tmp_path):
    """Services that hear, that are paused and that ignore SIGTERM all end with their supervisor."""
    hears, paused = python(SLEEP), python(SLEEP)
    deaf = python(DEAF, stdout=subprocess.PIPE)
    deaf.stdout.readline()
    paused.send_signal(signal.SIGSTOP)
    lines = "".join(f"+ {process.pid} 15\n" for process in (hears, paused, deaf))
    subprocess.run(
        (sys.executable, "-I", "-S", guard.__file__), input=lines, text=True, check=True, timeout=60
    )
    codes = [process.wait(30) for process in (hears, paused, deaf)]
    assert codes == [-signal.SIGTERM, -signal.SIGTERM, -signal.SIGKILL]


def test_the_guard_leaves_alone_what_was_taken_off_its_list():
    """A process id that was used again after a service ended is not hit."""
    assert guard.listen(["+ 100 15\n", "+ 200 2\n", "- 100\n", "- 300\n"]) == {200: 2}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has PDEATHSIG; macOS has the guard")
@pytest.mark.parametrize("code", [SLEEP, DEAF], ids=["hears", "deaf"])
def test_a_service_ends_with_its_owner_without_any_guard(tmp_path, code):
    """The kernel alone ends a service, deaf or not, when its owner is killed."""
    owner = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from loomtriage.lab.supervisor.children import Child
        from loomtriage.lab.supervisor.processes import spawn
        child = Child(name="x", argv={(*PYTHON, code)!r}, env={{}})
        print(spawn(child, log=Path({str(tmp_path)!r}) / "log", folder=Path("/")).pid, flush=True)
        time.sleep(600)
    """)
    process = subprocess.Popen((sys.executable, "-c", owner), stdout=subprocess.PIPE, text=True)
    pid = int(process.stdout.readline())
    mark = started(pid)
    assert mark is not None
    process.kill()
    process.wait()
    assert wait_gone(pid, mark, wait_s=30)


def test_a_service_that_ignores_the_request_to_end_is_killed(tmp_path, monkeypatch):
    """Ending a service always comes to an end."""
    monkeypatch.setattr("loomtriage.lab.supervisor.processes.STOP_S", 0.2)
    child = Child(name="deaf", argv=(*PYTHON, DEAF), env={})
    process = spawn(child, log=tmp_path / "log", folder=tmp_path)
    until(lambda: (tmp_path / "log").read_text() != "", "the deaf process")
    end(process, signal.SIGTERM)
    assert process.returncode == -signal.SIGKILL


def test_a_service_gets_its_own_variables_and_no_others(tmp_path, monkeypatch):
    """Nothing of the caller's environment reaches a service: no secret, no hint of a drill."""
    monkeypatch.setenv("CANARY", "sings")
    code = "import os; print(sorted(os.environ), flush=True)"
    child = Child(name="x", argv=(*PYTHON, code), env={"LAB_PORT": "1"})
    spawn(child, log=tmp_path / "log", folder=tmp_path).wait(60)
    assert "LAB_PORT" in (tmp_path / "log").read_text()
    assert "CANARY" not in (tmp_path / "log").read_text()


def test_a_later_process_with_the_same_id_is_not_taken_for_the_first():
    """A process is known by its start, so a used-again id is never signalled."""
    process = python(SLEEP)
    mark = started(process.pid)
    assert is_same(process.pid, mark)
    assert not is_same(process.pid, f"{mark}0")
    process.kill()
    until(lambda: not is_same(process.pid, mark), "its end, as a zombie not waited for")
    process.wait()
    assert started(process.pid) is None


SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def service_with(tmp_path):
    """Make a service that runs a piece of Python on a port."""
    (tmp_path / "logs").mkdir()
    with Guard(tmp_path / "logs" / "guard.log") as watch:
        made = []

        def make(code: str, port: int) -> Service:
            child = Child(
                name="thing",
                argv=(sys.executable, "-I", "-c", code, str(port)),
                env={},
                ports=(port,),
                ready=partial(answers, port, "/"),
            )
            made.append(Service(child, folder=tmp_path, guard=watch))
            return made[-1]

        yield make
        for service in made:
            service.end()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells who listens")
def test_the_answer_of_a_stranger_never_makes_a_service_ready(service_with):
    """A port taken between check and bind fails the start by name, though it answers well."""
    (port,) = free_ports(1)
    stranger = subprocess.Popen((sys.executable, "-I", "-c", SERVER, str(port)))
    try:
        until(lambda: answers(port, "/"), "the stranger")
        service = service_with("import sys; sys.stdin.read(); import time; time.sleep(1)", port)
        service.start()
        with pytest.raises(StartFailed) as failed:
            until(service.became_ready, "the service that cannot become ready")
        assert failed.value.is_raced
        assert f"thing lost port {port} to process {stranger.pid}" in failed.value.message
    finally:
        stranger.kill()
        stranger.wait()


def test_a_service_that_answers_is_ready_and_one_that_ended_is_dead(service_with):
    """The same service goes from waiting to ready by its own answer, and is dead when killed."""
    (port,) = free_ports(1)
    service = service_with(SERVER, port)
    assert service.status().state == "waiting"
    service.start()
    until(service.became_ready, "the service")
    assert (service.status().state, service.status().port) == ("ready", port)
    os.kill(service.status().pid, signal.SIGKILL)
    until(service.died, "its end")
    assert service.status().state == "dead"
    assert "SIGKILL" in service.status().says


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of threads that are left")
def test_a_service_of_which_only_threads_are_left_is_dead(service_with):
    """Killed, it is a zombie that nobody can wait for yet: who asks then must not be told no."""
    code = """
        import ctypes, os, threading, time
        threading.Thread(target=lambda: (time.sleep(0.5), os._exit(3))).start()
        ctypes.CDLL(None).pthread_exit(None)
    """
    service = service_with(textwrap.dedent(code), free_ports(1)[0])
    service.start()
    assert service.is_running
    until(lambda: started(service.pid) is None, "the end of its first thread")
    assert service.died()
    assert "exit code 3" in service.status().says


def test_the_last_words_of_a_service_that_ends_at_once_are_told(service_with):
    """A service that does not come up is named with its exit code and what it said last."""
    service = service_with("import sys; sys.exit('no such index')", free_ports(1)[0])
    service.start()
    with pytest.raises(StartFailed, match=r"thing ended .*exit code 1.*no such index") as failed:
        until(service.became_ready, "the service that ends at once")
    assert not failed.value.is_raced
    assert "thing.log" in failed.value.hint


def test_a_program_that_is_not_there_is_named(tmp_path):
    """A service whose program cannot be started fails by name, with the system's reason."""
    (tmp_path / "logs").mkdir()
    with Guard(tmp_path / "logs" / "guard.log") as watch:
        service = Service(
            Child(name="thing", argv=("/nowhere/at/all",), env={}), folder=tmp_path, guard=watch
        )
        with pytest.raises(StartFailed, match=r"thing cannot be started: .*No such file"):
            service.start()
