"""The one HTTP client keeps its promises against servers that keep none."""

from __future__ import annotations

import gzip
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loomtriage.errors import UsageError
from loomtriage.sources.http import Http, Limits
from loomtriage.sources.json_text import read_json
from loomtriage.sources.tape import Unreadable
from tests.sources.wire import Wire, drips, floods, hangs, says, sends

PATIENT = Limits(deadline_s=20)
OPEN_ENDED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PAGE = b"<!doctype html><title>Sign in</title>"

BAD = {
    "hang": (hangs, "timeout"),
    "drip_header": (drips(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 4000), "timeout"),
    "drip_body": (drips(OPEN_ENDED, b" " * 4000), "timeout"),
    "endless_body": (floods(OPEN_ENDED, b" " * 65536), "too_large"),
    "endless_chunks": (floods(CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"), "too_large"),
    "short_length": (sends(OPEN_ENDED[:-2] + b"Content-Length: 99\r\n\r\n{}"), "truncated"),
    "chunk_cut": (sends(CHUNKED + b"9\r\n{}"), "truncated"),
    "gzip_cut": (
        says(gzip.compress(b'{"a": 1}' * 99)[:-12], more="Content-Encoding: gzip\r\n"),
        "truncated",
    ),
    "no_gzip": (says(b"plain", more="Content-Encoding: gzip\r\n"), "truncated"),
    "brotli": (says(b"\x8b\x02", more="Content-Encoding: br\r\n"), "wrong_content"),
    "no_http": (sends(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "wrong_content"),
    "closes": (sends(b""), "refused"),
    "redirect": (says(b"", status="302 Found", more="Location: /login\r\n"), "wrong_content"),
    "login": (says(PAGE, status="401 Unauthorized"), "auth"),
    "forbidden": (says(b"", status="403 Forbidden"), "auth"),
    "busy": (says(b"", status="503 Busy", more="Retry-After: 120\r\n"), "http_503"),
    "slow_down": (says(b"", status="429 Too Many"), "http_429"),
    "rejected": (says(b'{"error":"parse error"}', status="400 Bad Request"), "http_400"),
}


# Without a wall clock the drips alone would take 200 s.
@pytest.mark.timeout(60)
@pytest.mark.parametrize("condition", BAD)
def test_bad_server_is_one_word_in_time(condition):
    """Whatever a server does wrong ends within the deadline, as a word with a hint."""
    answer, word = BAD[condition]
    limits = Limits(deadline_s=0.6 if word == "timeout" else 20, max_bytes=1_000_000)
    with Wire(answer) as wire:
        reply = Http(wire.url, limits=limits).get("/x")
    assert reply.missing == word
    assert reply.hint


def test_nobody_listens():
    """A closed port is `refused`, and the hint names the server without its credentials."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    reply = Http(f"http://bob:hunter2@127.0.0.1:{port}", limits=PATIENT).get("/x")
    assert reply.missing == "refused"
    assert f"127.0.0.1:{port}" in reply.hint
    assert "hunter2" not in reply.hint


@pytest.mark.parametrize(
    ("first", "asked", "word"),
    [
        (says(b"", status="503 Busy"), 2, ""),
        (sends(b""), 2, ""),
        (says(b"", status="404 Not Found"), 1, "http_404"),
        (says(b"", status="429 Too Many"), 1, "http_429"),
    ],
)
def test_one_retry_for_5xx_and_connections_only(first, asked, word):
    """A 5xx or a dropped connection is tried once more; nothing else is."""
    with Wire(first, says(b"{}")) as wire:
        reply = Http(wire.url, limits=PATIENT).get("/x")
        assert (reply.missing, len(wire.requests)) == (word, asked)


def test_a_second_5xx_is_the_end():
    """There is exactly one retry."""
    with Wire(says(b"", status="500 Oops")) as wire:
        assert Http(wire.url, limits=PATIENT).get("/x").missing == "http_500"
        assert len(wire.requests) == 2


def test_credentials_stay_at_home():
    """A redirect to another port is not followed, so no token arrives there."""
    with Wire(says(b"{}")) as other:
        away = says(b"", status="302 Found", more=f"Location: {other.url}/x\r\n")
        with Wire(away) as wire:
            url = wire.url.replace("http://", "http://bob:hunter2@")
            reply = Http(url, limits=PATIENT).get("/x")
            assert b"authorization: basic" in wire.requests[0].lower()
        assert reply.missing == "wrong_content"
        assert other.requests == []


def test_environment_proxies_are_not_read(monkeypatch):
    """A proxy variable of the shell does not redirect the triage."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with Wire(says(b"{}")) as wire:
        assert Http(wire.url, limits=PATIENT).get("/x").missing == ""


def test_gzip_bomb_is_cut():
    """200 MB in 200 kB never stand in memory: the body is cut at the cap, and says so."""
    bomb = gzip.compress(b" " * 200_000_000, compresslevel=9)
    with Wire(says(bomb, more="Content-Encoding: gzip\r\n")) as wire:
        reply = Http(wire.url, limits=Limits(max_bytes=1_000_000)).get("/x")
    assert reply.missing == "too_large"
    assert len(reply.body) <= 4096


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 300_000), st.integers(0, 9))
def test_gzip_comes_back_whole(size, byte):
    """A compressed body of any length is the body that was sent."""
    body = bytes([48 + byte]) * size
    with Wire(says(gzip.compress(body), more="Content-Encoding: gzip\r\n")) as wire:
        reply = Http(wire.url).get("/x")
    assert (reply.missing, reply.body) == ("", body)


def test_clock_skew_is_said():
    """A server whose clock is an hour behind gets a caveat; windows are not shifted."""
    more = "Date: Sat, 14 Feb 2026 14:00:00 GMT\r\n"
    with Wire(says(b"{}", more=more)) as wire:
        assert Http(wire.url).get("/x").caveats[0].startswith("clock_skew: ")
    with Wire(says(b"{}")) as wire:
        assert Http(wire.url).get("/x").caveats == ()


@pytest.mark.parametrize("url", ["", "localhost:9090", "ftp://x", "http://", "http://[::1", "\x00"])
def test_no_url_is_a_usage_error(url):
    """What is no URL of a server is refused before anything is asked."""
    with pytest.raises(UsageError):
        Http(url)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "truncated"),
        (b'{"data": {"result": [', "truncated"),
        (b'{"data": "unfinished', "truncated"),
        (b'[{"a": tr', "truncated"),
        (PAGE, "wrong_content"),
        (b'{"a": nonsense}', "wrong_content"),
        ('{"a": 1}'.encode("utf-16"), "wrong_content"),
        (b'{"a":' * 100_000, "wrong_content"),
        (b'{"a": ' + b"9" * 5000 + b"}", "wrong_content"),
    ],
)
def test_cut_json_is_not_wrong_json(body, word):
    """What breaks off is `truncated`, also where no length told; anything else is not."""
    with pytest.raises(Unreadable) as caught:
        read_json(body)
    assert caught.value.missing == word


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=8), st.data())
def test_every_cut_of_a_list_is_truncated(value, data):
    """However a document is cut, it is never taken for a whole one."""
    import json

    body = json.dumps([value, "end"]).encode()
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(Unreadable) as caught:
        read_json(body[:cut])
    assert caught.value.missing == "truncated"
