"""Two targets behind one proxy, and the faults that let a request reach its target."""

from __future__ import annotations

import time
from contextlib import ExitStack

import httpx
import pytest

from tests.lab.services import free_ports, service, until

TOKEN = {"X-Lab-Token": "secret"}


@pytest.fixture(scope="module")
def urls():
    """Proxied elastic, the elastic behind it, proxied otlp and the admin API, all running."""
    elastic, target, otlp, other, admin = free_ports(5)
    env = {
        "LAB_PORT": str(elastic),
        "LAB_TARGET_PORT": str(target),
        "LAB_OTLP_PORT": str(otlp),
        "LAB_OTLP_TARGET_PORT": str(other),
        "LAB_ADMIN_PORT": str(admin),
        "LAB_TOKEN": "secret",
        "LAB_ID": "lab-1",
    }
    with ExitStack() as running:
        for port in (target, other):  # any HTTP server may play the collector here
            url = f"http://127.0.0.1:{port}/healthz"
            running.enter_context(service("elastic", {"LAB_PORT": str(port)}, url))
        running.enter_context(service("proxy", env, f"http://127.0.0.1:{admin}/healthz"))
        ports = {"elastic": elastic, "direct": target, "otlp": otlp, "admin": admin}
        yield {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}


@pytest.fixture
def admin(urls):
    """A client of the admin API; no fault outlives a test."""
    with httpx.Client(base_url=urls["admin"], trust_env=False, headers=TOKEN, timeout=20) as admin:
        yield admin
        for fault in admin.get("/faults").json()["faults"]:
            admin.delete(f"/faults/{fault['id']}")


def ask(method, url, **options):
    return httpx.request(method, url, trust_env=False, timeout=20, **options)


def order(admin, **fault):
    return admin.post("/faults", json={"id": "f", "lease_s": 30, **fault})


def test_a_fault_of_one_target_leaves_the_other_alone(admin, urls):
    """The collector refuses while Elasticsearch answers, and both are told apart."""
    assert order(admin, kind="refuse", target="otlp").json()["target"] == "otlp"
    with pytest.raises(httpx.ConnectError):
        ask("POST", f"{urls['otlp']}/v1/traces")
    assert ask("GET", urls["elastic"]).status_code == 200
    told = admin.get("/faults").json()
    assert told["listening"] is False
    listening = {name: target["listening"] for name, target in told["targets"].items()}
    assert listening == {"elastic": True, "otlp": False}
    assert order(admin, kind="refuse").status_code == 409  # an id names one fault only
    assert admin.put("/faults/f/lease", json={"lease_s": 0.3}).json()["target"] == "otlp"
    until(lambda: admin.get("/faults").json()["listening"], "healing")
    assert admin.delete("/faults/f").json()["state"] == "expired"
    assert ask("GET", urls["otlp"]).status_code == 200


def test_a_cut_lets_the_write_happen_and_its_answer_vanish(admin, urls):
    """The client sees a broken connection, the document is there, and the proxy counted both."""
    order(admin, kind="cut", every=2)
    url = f"{urls['elastic']}/cuts/_doc"
    assert ask("PUT", f"{url}/1", json={"n": 1}).status_code == 201
    with pytest.raises(httpx.TransportError) as cut:
        ask("PUT", f"{url}/2", json={"n": 2})
    assert not isinstance(cut.value, httpx.ConnectError)
    assert ask("GET", f"{urls['direct']}/cuts/_doc/2").status_code == 200
    (fault,) = admin.get("/faults").json()["faults"]
    assert (fault["seen"], fault["acted"], fault["cut_after_success"]) == (2, 1, 1)
    admin.delete("/faults/f")
    assert ask("PUT", f"{url}/3", json={"n": 3}).status_code == 201


def test_a_cut_of_a_refusal_is_no_lost_success(admin, urls):
    """A dropped answer that told an error is counted as acted, and not as a success."""
    order(admin, kind="cut")
    with pytest.raises(httpx.TransportError):
        ask("DELETE", f"{urls['elastic']}/cuts/_doc/none")
    (fault,) = admin.get("/faults").json()["faults"]
    assert (fault["acted"], fault["cut_after_success"]) == (1, 0)


def test_a_delay_only_delays(admin, urls):
    """A delayed write arrives late and whole; reads that do not match pass at once."""
    order(admin, kind="delay", delay_s=0.3, path="/slow/*")
    began = time.monotonic()
    assert ask("PUT", f"{urls['elastic']}/slow/_doc/1", json={"n": 1}).status_code == 201
    assert time.monotonic() - began >= 0.3
    ask("PUT", f"{urls['elastic']}/quick/_doc/1", json={"n": 1})
    (fault,) = admin.get("/faults").json()["faults"]
    assert (fault["seen"], fault["acted"]) == (1, 1)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "delay"},
        {"kind": "delay", "delay_s": 31},
        {"kind": "delay", "delay_s": 1, "status": 503},
        {"kind": "cut", "delay_s": 1},
        {"kind": "cut", "status": 429},
        {"kind": "answer", "status": 503, "target": "otlp"},
        {"kind": "refuse", "target": "postgres"},
    ],
)
def test_an_order_that_does_not_fit_its_kind_or_target_is_refused(admin, fault):
    """What a kind or target does not take is 400 and applies nothing."""
    assert order(admin, **fault).status_code == 400
    assert admin.get("/faults").json()["faults"] == []
