"""The fault proxy: transparent, truly refusing, healing by itself, closed to strangers."""

from __future__ import annotations

import errno
import signal
import socket
import time

import httpx
import pytest

from tests.lab.services import free_ports, service, until

TOKEN = {"X-Lab-Token": "secret"}


@pytest.fixture(scope="module")
def ports():
    """Listen, admin and target port of a running proxy before a running stand-in."""
    listen, admin, target = free_ports(3)
    env = {
        "LAB_PORT": str(listen),
        "LAB_ADMIN_PORT": str(admin),
        "LAB_TARGET_PORT": str(target),
        "LAB_TOKEN": "secret",
        "LAB_ID": "lab-1",
    }
    with (
        service("elastic", {"LAB_PORT": str(target)}, f"http://127.0.0.1:{target}/healthz"),
        service("proxy", env, f"http://127.0.0.1:{admin}/healthz"),
    ):
        yield listen, admin, target


@pytest.fixture
def admin(ports):
    """A client of the admin API; no fault outlives a test."""
    url = f"http://127.0.0.1:{ports[1]}"
    with httpx.Client(base_url=url, trust_env=False, headers=TOKEN, timeout=20) as admin:
        yield admin
        for fault in admin.get("/faults").json()["faults"]:
            admin.delete(f"/faults/{fault['id']}")


@pytest.fixture
def worker(ports):
    """A client that goes through the proxy."""
    url = f"http://127.0.0.1:{ports[0]}"
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as worker:
        yield worker


def _fault(admin, fault_id):
    faults = admin.get("/faults").json()["faults"]
    return next((fault for fault in faults if fault["id"] == fault_id), None)


def _connects(port):
    with socket.socket() as sock:
        sock.settimeout(5)
        return sock.connect_ex(("127.0.0.1", port))


def _read_on(sock):
    while sock.recv(65536):
        pass


def test_refuse_is_a_true_connection_refused(admin, worker, ports):
    """While it refuses, connects get ECONNREFUSED, and nobody else can take the port."""
    worker.get("/")
    made = admin.post("/faults", json={"id": "r", "kind": "refuse", "lease_s": 30})
    assert (made.status_code, made.json()["state"]) == (201, "active")
    assert made.json()["probes_refused"] >= 1
    assert made.json()["aborted"] >= 1
    for _ in range(5):
        assert _connects(ports[0]) == errno.ECONNREFUSED
        with socket.socket() as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                thief.bind(("127.0.0.1", ports[0]))
    with pytest.raises(httpx.ConnectError):
        worker.get("/")
    assert admin.get("/faults").json()["listening"] is False
    gone = admin.delete("/faults/r").json()
    assert (gone["state"], gone["acted"] >= 2) == ("deleted", True)
    assert worker.get("/").status_code == 200


def test_refuse_resets_open_connections(admin, ports):
    """A client in the middle of a keep-alive connection gets a reset, not a polite end."""
    with socket.create_connection(("127.0.0.1", ports[0]), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"
        admin.post("/faults", json={"id": "r", "kind": "refuse", "lease_s": 30})
        with pytest.raises(ConnectionResetError):
            _read_on(sock)


def test_a_fault_whose_owner_died_heals_by_itself(admin, worker):
    """After an unrenewed lease the port listens again and the fault is listed as expired."""
    admin.post("/faults", json={"id": "dead", "kind": "refuse", "lease_s": 0.5})
    until(lambda: admin.get("/faults").json()["listening"], "healing")
    assert worker.get("/").status_code == 200
    healed = {fault["id"]: fault for fault in admin.get("/faults").json()["healed"]}
    assert (healed["dead"]["state"], healed["dead"]["acted"] >= 1) == ("expired", True)
    assert admin.put("/faults/dead/lease", json={"lease_s": 5}).status_code == 404
    assert admin.delete("/faults/dead").json()["state"] == "expired"


def test_a_renewed_fault_stays(admin):
    """Renewal carries a fault past its first lease."""
    admin.post("/faults", json={"id": "kept", "kind": "refuse", "lease_s": 3})
    first = time.monotonic()
    while time.monotonic() - first < 4:
        assert admin.put("/faults/kept/lease", json={"lease_s": 3}).status_code == 200
        time.sleep(0.1)
    assert _fault(admin, "kept") is not None


def test_twenty_cycles_always_regain_the_port(admin, worker, ports):
    """The port comes back after every refusal, and taking back three times is harmless."""
    for n in range(20):
        admin.post("/faults", json={"id": f"c{n}", "kind": "refuse", "lease_s": 30})
        assert _connects(ports[0]) == errno.ECONNREFUSED
        for _ in range(3):
            assert admin.delete(f"/faults/c{n}").status_code == 200
        assert worker.get("/").status_code == 200
    assert admin.delete("/faults/never-applied").json()["state"] == "absent"


def test_two_refusals_hold_the_port_until_both_are_gone(admin, ports):
    """Taking back one of two refusals does not open the port for the other."""
    for fault_id in ("one", "two"):
        admin.post("/faults", json={"id": fault_id, "kind": "refuse", "lease_s": 30})
    admin.delete("/faults/one")
    assert _connects(ports[0]) == errno.ECONNREFUSED
    admin.delete("/faults/two")
    assert _connects(ports[0]) == 0


def test_answer_counts_what_the_client_sees(admin, worker):
    """The number of 429 that a client got equals what the proxy says it answered."""
    order = {"id": "q", "kind": "answer", "lease_s": 30, "status": 429, "every": 3}
    assert admin.post("/faults", json={**order, "retry_after_s": 2}).status_code == 201
    seen = []
    for n in range(10):
        answer = worker.put(f"/answers/_doc/{n}", json={"n": n})
        seen.append(answer.status_code)
        worker.get("/")
    assert seen.count(429) == 3
    fault = _fault(admin, "q")
    assert (fault["acted"], fault["seen"]) == (3, 10)
    assert worker.get("/answers/_count").json()["count"] == 7


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, "es_rejected_execution_exception"), (503, "cluster_block_exception")],
)
def test_an_answer_looks_like_elasticsearch(admin, worker, status, kind):
    """An answered request has Elasticsearch's error shape and header, and nothing of a drill."""
    order = {"id": "a", "kind": "answer", "lease_s": 30, "status": status, "retry_after_s": 1}
    admin.post("/faults", json={**order, "methods": ["POST"], "path": "*/_bulk"})
    answer = worker.post(
        "/x/_bulk", content=b'{"index":{}}\n' * 5000, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == kind
    assert answer.headers["x-elastic-product"] == "Elasticsearch"
    assert answer.headers["retry-after"] == "1"
    assert not {"lab", "fault", "drill"} & set(answer.text.lower().split())
    assert worker.put("/x/_doc/1", json={}).status_code in {200, 201}


def test_the_proxy_counts_what_passes(admin, worker):
    """Requests that pass are counted by status, independently of the worker."""
    before = admin.get("/faults").json()["requests"]
    worker.get("/")
    worker.get("/nowhere/_doc/1")
    worker.head("/nowhere")
    after = admin.get("/faults").json()["requests"]
    grown = {
        status: count - before["passed_by_status"].get(status, 0)
        for status, count in after["passed_by_status"].items()
    }
    assert {status: count for status, count in grown.items() if count} == {"200": 1, "404": 2}
    assert after["total"] - before["total"] == 3


def test_requests_sent_at_once_are_answered_in_order(admin, ports):
    """Requests that a client sends without waiting for answers are each answered, in order."""
    order = {"id": "p", "kind": "answer", "lease_s": 30, "status": 429, "every": 2}
    admin.post("/faults", json={**order, "methods": ["GET"]})
    get = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = get.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with socket.create_connection(("127.0.0.1", ports[0]), timeout=10) as sock:
        sock.sendall(get * 4 + last)
        got = b""
        while piece := sock.recv(65536):
            got += piece
    statuses = [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"429", b"200", b"429", b"200"]


def test_an_enormous_body_is_refused(ports):
    """A request beyond the cap gets 413 in front of the target."""
    with socket.create_connection(("127.0.0.1", ports[0]), timeout=10) as sock:
        sock.sendall(b"PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99000000000\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 413"


def test_sigterm_ends_it_while_it_refuses():
    """SIGTERM ends a refusing proxy with exit code 0 and frees the port."""
    listen, admin, target = free_ports(3)
    env = {"LAB_PORT": str(listen), "LAB_ADMIN_PORT": str(admin), "LAB_TARGET_PORT": str(target)}
    url = f"http://127.0.0.1:{admin}"
    with service("proxy", {**env, "LAB_TOKEN": "secret"}, f"{url}/healthz") as process:
        order = {"id": "r", "kind": "refuse", "lease_s": 60}
        httpx.post(f"{url}/faults", json=order, headers=TOKEN, trust_env=False)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    with socket.socket() as heir:
        heir.bind(("127.0.0.1", listen))
