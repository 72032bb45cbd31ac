"""Who has a port is told before anything starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from loomtriage.errors import Exit, Refused
from loomtriage.lab.supervisor import ports

LISTENER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
sock = socket.create_server((sys.argv[1], 0), family=family)
print(sock.getsockname()[1], flush=True)
sys.stdin.read()
"""
needs_proc = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="only Linux tells who listens (/proc/net/tcp)"
)


@pytest.fixture
def stranger(request):
    """A foreign process that listens on an address; (pid, port)."""
    address = getattr(request, "param", "127.0.0.1")
    process = subprocess.Popen(
        (sys.executable, "-I", "-S", "-c", LISTENER, address),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield process.pid, int(process.stdout.readline())
    process.communicate("")


@needs_proc
@pytest.mark.parametrize("stranger", ["127.0.0.1", "0.0.0.0", "::1", "::"], indirect=True)
def test_the_owner_of_a_port_is_found(stranger):
    """Whatever loopback or wildcard address a process listens on, its id is found."""
    pid, port = stranger
    owner = ports.owner_of(port)
    assert owner is not None
    assert owner.pid == pid


@needs_proc
def test_all_taken_ports_are_named_with_their_owner(stranger):
    """One refusal names every taken port, the service that wants it and the owner's process."""
    pid, port = stranger
    with socket.create_server(("127.0.0.1", 0)) as own:
        mine = own.getsockname()[1]
        with pytest.raises(Refused) as refused:
            ports.refuse_taken({"api": port, "jaeger": mine, "worker": _free()})
    assert f"port {port} (api) belongs to process {pid}" in refused.value.message
    assert f"port {mine} (jaeger) belongs to process {os.getpid()}" in refused.value.message
    assert "worker" not in refused.value.message
    assert "--ports auto" in refused.value.hint
    assert refused.value.exit_code is Exit.REFUSED


def test_a_port_held_without_listening_is_taken_too():
    """A port that is bound but not listened on is refused, with no owner made up."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        assert not ports.is_free(port)
        assert ports.owner_of(port) is None
        with pytest.raises(Refused, match="does not listen"):
            ports.refuse_taken({"api": port})


def test_free_ports_are_not_refused():
    """Nothing is refused when every port is free."""
    ports.refuse_taken(ports.choose("auto"))


@needs_proc
def test_a_port_belongs_to_the_session_that_listens_on_it(stranger):
    """A service is told from a stranger by its session, so a stranger's answer never counts."""
    pid, port = stranger
    assert ports.belongs(port, session=pid) is True
    assert ports.belongs(port, session=os.getsid(0)) is False
    assert ports.belongs(_free(), session=pid) is False


def test_automatic_ports_are_free_different_and_below_the_ephemeral_range():
    """`auto` gives every service its own free port that no outgoing connection can take."""
    chosen = ports.choose("auto")
    assert chosen.keys() == ports.FIXED.keys()
    assert len(set(chosen.values())) == len(chosen)
    assert all(20000 <= port < 32000 and ports.is_free(port) for port in chosen.values())


def test_two_automatic_choices_differ():
    """Two labs that start at the same moment do not choose the same ports."""
    assert len({frozenset(ports.choose("auto").values()) for _ in range(9)}) > 1


def test_automatic_ports_keep_away_from_those_that_another_lab_has_not_used_yet(monkeypatch):
    """A spare worker's port is nobody's before it starts; its neighbours speak for it."""
    start = ports._AUTO.start
    monkeypatch.setattr(ports, "_AUTO", range(start, start + 2 * len(ports.FIXED)))
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    first = ports.choose("auto")
    used = set(first.values()) - {first["worker_2"], first["worker_2_http"]}
    monkeypatch.setattr(ports, "is_free", lambda port: port not in used)
    others = [ports.choose("auto") for _ in range(20)]
    assert all(set(first.values()).isdisjoint(other.values()) for other in others)


def test_no_room_for_a_lab_is_said(monkeypatch):
    """Where nothing is free the search ends, by name."""
    monkeypatch.setattr(ports, "is_free", lambda port: port % 2)
    with pytest.raises(Refused, match="neighbouring ports are free between 20000 and 32000"):
        ports.choose("auto")


def test_fixed_ports_are_the_documented_ones():
    """The fixed ports are Wordloom's own and Jaeger's and Prometheus' well-known ones."""
    assert dict(ports.choose("fixed")) == {
        "alertmanager": 9093,
        "api": 8000,
        "worker": 9108,
        "worker_http": 9118,
        "worker_2": 9109,
        "worker_2_http": 9119,
        "chronicle": 9110,
        "chronicle_http": 9120,
        "prometheus": 9090,
        "jaeger": 16686,
        "otlp_http": 4318,
        "otlp_http_direct": 14318,
        "otlp_grpc": 4317,
        "elastic": 19200,
        "elastic_direct": 19201,
        "proxy_admin": 19202,
        "postgres": 5435,
    }


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
