"""The receiver takes what Alertmanager sends, once, and turns everything else away."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from loomtriage.watch import receive
from loomtriage.watch.payload import MAX_BYTES
from tests.watch.receiver import (
    GROUP,
    TOKEN,
    Receiver,
    let_go,
    order,
    payload,
    post,
    raw,
    told,
)


@pytest.fixture
def receiver(tmp_path):
    """A running receiver with a stand-in for the path."""
    with Receiver(order(tmp_path)) as running:
        yield running


def test_a_thousand_duplicates_are_one_case(receiver):
    """However often and at once the same alert comes, it is accepted once and runs once."""
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: post(receiver.port, payload())[:2], range(1000)))
    statuses = [status for status, _ in answers]
    assert (statuses.count(202), statuses.count(200)) == (1, 999)
    assert len({body["case"] for _, body in answers}) == 1
    assert receiver.settled() == {"queued": 0, "running": 0, "done": 1, "failed": 0}
    assert len(told(receiver.order.room.parent / "stub")) == 1


def test_another_alert_is_another_case(receiver):
    """A new fingerprint in the group, or another group, is news; a part of what is known is not."""
    assert post(receiver.port, payload("aa", "bb"))[0] == 202
    assert post(receiver.port, payload("aa"))[0] == 200
    assert post(receiver.port, payload("aa", "bb", "cc"))[0] == 202
    assert post(receiver.port, payload("aa", group=f"{GROUP}x"))[0] == 202
    assert receiver.settled()["done"] == 3


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer wrong-horse-battery-staple"}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": ""}, 401),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"User_Agent": "Mozilla/5.0 (X11)"}, 403),
    ],
)
def test_strangers_are_turned_away(receiver, headers, status):
    """Wrong secret, other content, foreign names and web pages get an answer and no run."""
    got, _, sent = post(receiver.port, payload(), **headers)
    assert got == status
    assert ("www-authenticate" in {name.lower() for name in sent}) == (status == 401)
    assert sum(receiver.inbox.counts().values()) == 0


def test_the_right_token_does_come_in(receiver):
    """The control of the refusals above: the same request with the right header is taken."""
    assert post(receiver.port, payload())[0] == 202


def _signed(body: bytes, *, at: int, secret: str = TOKEN) -> str:
    mark = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={mark}"


def test_a_signature_stands_for_the_token(receiver):
    """A body signed in the last five minutes is taken; another body, age or secret is not."""
    body, now = json.dumps(payload()).encode(), int(time.time())
    for bad in (
        _signed(body + b" ", at=now),
        _signed(body, at=now - 400),
        _signed(body, at=now + 400),
        _signed(body, at=now, secret="x" * 20),
        "t=1,v1=zz",
    ):
        headers = {"Authorization": "", "X_Loomtriage_Signature": bad}
        assert post(receiver.port, body, **headers)[0] == 401
    headers = {"Authorization": "", "X_Loomtriage_Signature": _signed(body, at=now)}
    assert post(receiver.port, body, **headers)[0] == 202


def test_ten_megabytes_are_refused_unread(receiver):
    """What the headers announce as too large is refused before it is sent."""
    head = (
        f"POST /alerts HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {10 * MAX_BYTES}\r\n\r\n"
    )
    with raw(receiver.port, head.encode()) as sock:
        assert sock.recv(4096).startswith(b"HTTP/1.1 413")


def test_chunks_are_counted(receiver):
    """A body of no announced length is cut off at the same bound."""
    head = (
        f"POST /alerts HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with raw(receiver.port, head.encode()) as sock:
        sock.sendall(chunk * (MAX_BYTES // 65536 + 1))
        assert sock.recv(4096).startswith(b"HTTP/1.1 413")


def test_a_dripping_header_is_cut_off(receiver, monkeypatch):
    """A connection that sends no whole request in time is closed, and the next one is served."""
    monkeypatch.setattr(receive, "HEADER_S", 0.4)
    began, ended = time.monotonic(), b"?"
    with raw(receiver.port, b"POST /alerts HTTP/1.1\r\nHo") as sock:
        while ended:
            assert time.monotonic() - began < 30, "it is never cut off"
            try:
                sock.sendall(b"s")
                sock.settimeout(0.1)
                ended = sock.recv(10)
            except TimeoutError:
                continue
            except OSError:
                break
    assert time.monotonic() - began > 0.2
    monkeypatch.undo()  # the next one may take its time, as on a busy machine
    assert post(receiver.port, payload())[0] == 202


def test_a_dripping_body_is_cut_off(receiver, monkeypatch):
    """A body that does not come to its end in time is answered 408."""
    monkeypatch.setattr("loomtriage.watch.gate.BODY_S", 0.3)
    head = (
        f"POST /alerts HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
    )
    with raw(receiver.port, head.encode()) as sock:
        assert sock.recv(4096).startswith(b"HTTP/1.1 408")


def test_a_huge_header_is_refused(receiver):
    """Headers are bounded too."""
    with raw(receiver.port, b"POST /alerts HTTP/1.1\r\nX: " + b"a" * 40_000) as sock:
        assert sock.recv(4096).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"version":"3"}',
        b'{"version":"4","groupKey":"g","status":"firing","alerts":[]}',
    ],
)
def test_what_is_no_alert_is_said_to_be_none(receiver, body):
    """Damaged and foreign documents get 400, which Alertmanager does not repeat."""
    assert post(receiver.port, body)[0] == 400


def test_a_full_queue_asks_to_come_again(tmp_path):
    """Beyond its bound the receiver says 503 and when, and forgets the alert; it comes again."""
    with Receiver(order(tmp_path, slow_s=30), capacity=2) as receiver:
        codes = [post(receiver.port, payload(f"f{n}")) for n in range(4)]
        assert [code for code, *_ in codes] == [202, 202, 503, 503]
        assert {k.lower(): v for k, v in codes[3][2].items()}["retry-after"] == "30"
        assert post(receiver.port, payload("f0"))[0] == 200
        let_go(tmp_path / "stub", runs=3)
        assert receiver.settled()["done"] == 2
        assert post(receiver.port, payload("f3"))[0] == 202


def test_answers_do_not_wait_for_runs(tmp_path):
    """While runs take their time, the sender hears back at once."""
    with Receiver(order(tmp_path, slow_s=30)) as receiver:
        assert post(receiver.port, payload())[0] == 202
        assert told(tmp_path / "stub") == []
        let_go(tmp_path / "stub")
        assert receiver.settled()["done"] == 1
