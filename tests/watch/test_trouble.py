"""Trouble passes: a broken inbox, a slow run, a failed case; none of them stops the receiver."""

from __future__ import annotations

import asyncio
import http.client
import json
import sqlite3
import sys
import time
from dataclasses import replace

import pytest

from loomtriage.watch import inbox as inboxes
from loomtriage.watch import work
from loomtriage.watch.gate import Gate
from loomtriage.watch.inbox import MAX_TRIES_EVER, Answer, Inbox, JobState
from loomtriage.watch.payload import read_delivery
from loomtriage.watch.serve import FILE
from tests.watch.receiver import TOKEN, Receiver, order, payload, post, told


def _breaks(method, times):
    """The method of an inbox, which raises that often before it works."""
    left = [times]

    def broken(*given, **named):
        if left[0]:
            left[0] -= 1
            raise sqlite3.OperationalError("disk I/O error")
        return method(*given, **named)

    return broken


def _health(receiver):
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body["ok"]


@pytest.mark.parametrize("method", ["take", "end"])
def test_an_inbox_that_breaks_does_not_end_the_workers(tmp_path, monkeypatch, method):
    """Each error is said, the worker waits and goes on, and the run is made once."""
    monkeypatch.setattr(work, "TROUBLE_S", 0.02)
    receiver = Receiver(order(tmp_path))
    monkeypatch.setattr(receiver.inbox, method, _breaks(getattr(receiver.inbox, method), 5))
    with receiver:
        assert post(receiver.port, payload())[0] == 202
        assert receiver.settled()["done"] == 1
        assert _health(receiver) == (200, True)
    assert " ".join(receiver.said).count("the inbox does not work") == 5
    assert len(told(tmp_path / "stub", "begun")) == 1


def test_nobody_listening_does_not_end_the_workers(tmp_path, monkeypatch):
    """A closed terminal is no reason to leave alerts lying."""
    receiver = Receiver(order(tmp_path))

    def closed(_line):
        raise BrokenPipeError

    monkeypatch.setattr(receiver.workers, "_speak", closed)
    with receiver:
        assert [post(receiver.port, payload(name))[0] for name in "abc"] == [202] * 3
        assert receiver.settled()["done"] == 3


def test_health_is_that_of_the_workers_and_the_inbox(tmp_path, monkeypatch):
    """A receiver that takes alerts and works on none is not well, nor is one without an inbox."""
    with Receiver(order(tmp_path)) as receiver:
        assert _health(receiver) == (200, True)
        with monkeypatch.context() as patch:
            patch.setattr(receiver.inbox, "counts", _breaks(receiver.inbox.counts, 1))
            assert _health(receiver) == (503, False)
        with monkeypatch.context() as patch:
            patch.setattr(receiver.inbox, "accept", _breaks(receiver.inbox.accept, 1))
            assert post(receiver.port, payload())[0] == 503
        assert _health(receiver) == (200, True)
        receiver.workers.stop()
        until = time.monotonic() + 30
        while receiver.workers.are_alive() and time.monotonic() < until:
            time.sleep(0.02)
        assert _health(receiver) == (503, False)


def test_the_next_try_waits(tmp_path, monkeypatch):
    """A queued job is not taken before its time, and is then."""
    inbox = Inbox(tmp_path / FILE)
    body = json.dumps(payload()).encode()
    assert inbox.accept(read_delivery(body), body)[0] is Answer.ACCEPTED
    job = inbox.take()
    inbox.end(job, state=JobState.QUEUED, after_s=60)
    assert inbox.take() is None
    later = time.time() + 61
    monkeypatch.setattr(inboxes.time, "time", lambda: later)
    assert inbox.take().tries == 2
    inbox.close()


def test_each_try_waits_twice_as_long(tmp_path):
    """Pauses of 2 and 4 times the order's, so that what broke has time to pass."""
    log = tmp_path / "tries.txt"
    script = f"import time; print(time.time(), file=open({str(log)!r}, 'a')); raise SystemExit(4)"
    given = replace(order(tmp_path), command=(sys.executable, "-S", "-c", script), retry_s=0.2)
    with Receiver(given) as receiver:
        assert post(receiver.port, payload())[0] == 202
        assert receiver.settled()["failed"] == 1
    first, second, third = map(float, log.read_text().split())
    assert second - first >= 0.4
    assert third - second >= 0.8


def test_a_run_that_meets_its_deadline_has_another_try(tmp_path):
    """Slow once is not broken: the second try comes to its end."""
    slow = tmp_path / "slow"
    slow.touch()
    script = (
        f"import pathlib, time; p = pathlib.Path({str(slow)!r}); s = p.exists();"
        'p.unlink(missing_ok=True); time.sleep(30 if s else 0); print(\'{"folder": "x"}\')'
    )
    command = (sys.executable, "-S", "-c", script)
    with Receiver(replace(order(tmp_path, deadline_s=3), command=command)) as receiver:
        assert post(receiver.port, payload())[0] == 202
        assert receiver.settled()["done"] == 1
    assert "queued stopped at the deadline" in " ".join(receiver.said)


def test_a_failed_case_runs_again_when_its_alert_is_repeated(tmp_path):
    """Each repetition, of all or a part of the group, gives one more try, up to a bound."""
    log = tmp_path / "tries.txt"
    script = f"open({str(log)!r}, 'a').write('x'); raise SystemExit(2)"
    given = replace(order(tmp_path), command=(sys.executable, "-S", "-c", script))
    answers = []
    with Receiver(given) as receiver:
        for names in [("a", "b"), ("a",)] * MAX_TRIES_EVER:
            answers.append(post(receiver.port, payload(*names))[0])
            assert receiver.settled()["failed"] == 1
    assert answers == [202] * MAX_TRIES_EVER + [200] * MAX_TRIES_EVER
    assert len(log.read_text()) == MAX_TRIES_EVER


def test_a_failed_case_does_not_overfill_the_queue(tmp_path):
    """A repetition waits for its place like any alert."""
    inbox = Inbox(tmp_path / FILE, capacity=1)
    bodies = [json.dumps(payload(name)).encode() for name in "ab"]
    first, second = map(read_delivery, bodies)
    inbox.accept(first, bodies[0])
    inbox.end(inbox.take(), state=JobState.FAILED)
    assert inbox.accept(second, bodies[1])[0] is Answer.ACCEPTED
    assert inbox.accept(first, bodies[0])[0] is Answer.FULL
    inbox.end(inbox.take(), state=JobState.DONE)
    assert inbox.accept(second, bodies[1])[0] is Answer.KNOWN
    assert inbox.accept(first, bodies[0])[0] is Answer.ACCEPTED
    inbox.close()


def test_counting_a_body_costs_the_same_for_each_chunk():
    """A body of many small chunks is counted once, not again with each of them."""
    counted = []

    class Part(bytes):
        def __len__(self):
            counted.append(1)
            return 1

    class Dripped:
        @staticmethod
        async def stream():
            for _ in range(2000):
                yield Part(b" ")

    request = Dripped()
    request.headers = {
        "host": "127.0.0.1:9099",
        "authorization": f"Bearer {TOKEN}",
        "content-type": "application/json",
    }
    assert asyncio.run(Gate(token=TOKEN).admit(request)) == b" " * 2000
    assert len(counted) <= 2 * 2000
