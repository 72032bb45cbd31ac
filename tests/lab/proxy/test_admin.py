"""The fault proxy obeys only complete orders of its own lab."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.lab.services import free_ports, service

TOKEN = {"X-Lab-Token": "secret"}


@pytest.fixture(scope="module")
def admin():
    """A client of the admin API of a running proxy."""
    listen, port, target = free_ports(3)
    env = {"LAB_PORT": str(listen), "LAB_ADMIN_PORT": str(port), "LAB_TARGET_PORT": str(target)}
    url = f"http://127.0.0.1:{port}"
    with (
        service("proxy", {**env, "LAB_TOKEN": "secret", "LAB_ID": "lab-1"}, f"{url}/healthz"),
        httpx.Client(base_url=url, trust_env=False, headers=TOKEN, timeout=20) as admin,
    ):
        yield admin


@pytest.mark.parametrize(
    "order",
    [
        {"id": "x", "kind": "refuse", "lease_s": 61},
        {"id": "x", "kind": "refuse", "lease_s": 0},
        {"id": "x", "kind": "refuse"},
        {"id": "x", "kind": "refuse", "lease_s": 5, "status": 429},
        {"id": "../x", "kind": "refuse", "lease_s": 5},
        {"id": "x", "kind": "explode", "lease_s": 5},
        {"id": "x", "kind": "answer", "lease_s": 5},
        {"id": "x", "kind": "answer", "lease_s": 5, "status": 200},
        {"id": "x", "kind": "answer", "lease_s": 5, "status": 429, "every": 0},
        {"id": "x", "kind": "answer", "lease_s": 5, "status": 429, "every": 2, "ratio": 0.5},
        {"id": "x", "kind": "answer", "lease_s": 5, "status": 429, "retry_after": 5},
    ],
)
def test_a_senseless_order_is_refused(admin, order):
    """An order that is too long, incomplete or misspelt is 400 and applies nothing."""
    assert admin.post("/faults", json=order).status_code == 400
    raw = json.dumps(order).replace("61", "NaN").encode()
    assert admin.post("/faults", content=raw).status_code == 400
    assert admin.get("/faults").json()["faults"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Lab-Token": "wrong"},
        {"X-Lab-Token": ""},
        {**TOKEN, "Host": "evil.example"},
        {**TOKEN, "Origin": "http://127.0.0.1:8888"},
        {**TOKEN, "Origin": "null"},
    ],
)
def test_strangers_change_nothing(admin, headers):
    """Without the token, from a web page or by a rebound name every mutating call is refused."""
    url = str(admin.base_url)
    with httpx.Client(base_url=url, trust_env=False, headers=headers) as stranger:
        order = {"id": "s", "kind": "refuse", "lease_s": 5}
        calls = [
            stranger.post("/faults", json=order),
            stranger.put("/faults/s/lease", json={"lease_s": 5}),
            stranger.delete("/faults/s"),
        ]
    assert [call.status_code for call in calls] == [403] * 3
    assert admin.get("/faults").json()["faults"] == []


def test_it_says_whose_it_is(admin):
    """Everybody may read which lab the proxy belongs to and what it does, but not its token."""
    answer = admin.get("/faults", headers={"X-Lab-Token": ""})
    assert answer.json()["lab_id"] == "lab-1"
    assert answer.json()["listening"] is True
    assert "secret" not in answer.text
    assert admin.get("/faults", headers={"Host": "evil.example"}).status_code == 403


def test_an_enormous_order_is_refused(admin):
    """An order beyond 64 KiB is refused."""
    assert admin.post("/faults", content=b" " * 70_000).status_code == 413


def test_a_proxy_without_a_token_does_not_start():
    """Nobody can start a proxy that everybody may command."""
    listen, port, target = free_ports(3)
    env = {"LAB_PORT": str(listen), "LAB_ADMIN_PORT": str(port), "LAB_TARGET_PORT": str(target)}
    with (
        pytest.raises(AssertionError, match="ended with 2"),
        service("proxy", {**env, "LAB_TOKEN": ""}, f"http://127.0.0.1:{port}/healthz"),
    ):
        pass
