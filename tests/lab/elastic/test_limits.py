"""The stand-in refuses as a busy or guarded Elasticsearch does."""

from __future__ import annotations

import asyncio
import json
import signal
import socket

import httpx
import pytest

from loomtriage.lab.elastic.errors import ElasticError
from loomtriage.lab.elastic.field_types import misfit
from loomtriage.lab.elastic.limits import Lease, Limits, LimitsBook
from loomtriage.lab.elastic.pool import WritePool
from tests.lab.services import free_ports, service

TOKEN = {"X-Lab-Token": "secret"}
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def url():
    """A stand-in with a token."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with service("elastic", {"LAB_PORT": str(port), "LAB_TOKEN": "secret"}, f"{url}/healthz"):
        yield url


@pytest.fixture
def http(url):
    """A plain client; limits are back to their defaults afterwards."""
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as http:
        yield http
        back = http.put("/_lab/limits", json=Limits().model_dump(), headers=TOKEN)
        assert back.status_code == 200


def _bulk(count):
    lines = [line for n in range(count) for line in ({"index": {"_id": str(n)}}, {"n": n})]
    return "".join(json.dumps(line) + "\n" for line in lines)


def _statuses(response):
    return [item["index"]["status"] for item in response.json()["items"]]


def test_limits_need_the_token(http):
    """Nobody changes the write queue without the lab's token, and nonsense is refused with it."""
    assert http.put("/_lab/limits", json={"queue": 0}).status_code == 403
    assert (
        http.put("/_lab/limits", json={"queue": 0}, headers={"X-Lab-Token": b"\xfc"}).status_code
        == 403
    )
    assert http.put("/_lab/limits", json={"quue": 0}, headers=TOKEN).status_code == 400
    assert http.put("/_lab/limits", json={"service_s": -1}, headers=TOKEN).status_code == 400
    assert http.get("/_lab/limits").json()["queue"] == Limits().queue


def test_a_full_coordinating_budget_refuses_the_whole_request(http):
    """Beyond the coordinating bytes a bulk is 429 as a whole, and nothing of it is written."""
    http.put("/_lab/limits", json={"coordinating_bytes": 10}, headers=TOKEN)
    answer = http.post("/whole/_bulk", content=_bulk(3), headers=NDJSON)
    assert answer.status_code == 429
    assert answer.json()["error"]["type"] == "es_rejected_execution_exception"
    assert "coordinating operation" in answer.json()["error"]["reason"]
    assert http.put("/whole/_doc/1", json={"n": 123456}).status_code == 429
    assert http.head("/whole").status_code == 404


async def _together(url, calls):
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as http:
        return await asyncio.gather(*(http.request(*call[:2], **call[2]) for call in calls))


def test_a_full_queue_refuses_items_inside_a_200(http, url):
    """With the queue full a bulk is 200 with 429 on its items, and a single write is 429."""
    http.put("/_lab/limits", json={"workers": 1, "queue": 1, "service_s": 0.5}, headers=TOKEN)
    bulk = ("POST", "/queue/_bulk", {"content": _bulk(2), "headers": NDJSON})
    single = ("PUT", "/queue/_doc/x", {"json": {"n": 1}})
    answers = asyncio.run(_together(url, [bulk, bulk, bulk, bulk, single]))
    assert [answer.status_code for answer in answers[:4]] == [200] * 4
    items = [status for answer in answers[:4] for status in _statuses(answer)]
    assert 429 in items
    assert {200, 201} & set(items)
    row = http.get("/_cat/thread_pool/write?format=json").json()[0]
    refused = sum(429 in _statuses(answer) for answer in answers[:4])
    assert int(row["rejected"]) == refused + (answers[4].status_code == 429)


def test_several_shards_make_a_bulk_partly_rejected(http):
    """Without a queue one shard of a bulk is written while the others are rejected."""
    http.put("/shards", json={"settings": {"number_of_shards": 4}})
    http.put("/_lab/limits", json={"workers": 1, "queue": 0, "service_s": 0.001}, headers=TOKEN)
    answer = http.post("/shards/_bulk", content=_bulk(40), headers=NDJSON)
    assert answer.status_code == 200
    assert set(_statuses(answer)) == {201, 429}
    written = http.get("/shards/_count").json()["count"]
    assert written == _statuses(answer).count(201)


def test_a_cancelled_waiter_gives_its_place_back():
    """A request that is dropped while it waits leaks no thread and no queue place."""

    async def story():
        pool = WritePool(Limits(workers=1, queue=1, service_s=0.05))

        async def write():
            async with pool.slot(1):
                pass

        first, second = asyncio.create_task(write()), asyncio.create_task(write())
        await asyncio.sleep(0)
        with pytest.raises(ElasticError):
            await write()
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        await write()
        return pool.active, pool.queued, pool.rejected, pool.completed

    assert asyncio.run(story()) == (0, 0, 1, 2)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Accept": "application/vnd.elasticsearch+json; compatible-with=9"}, 400),
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost.evil.example:80"}, 403),
        ({"Content-Type": "text/plain"}, 406),
        ({"Content-Encoding": "br"}, 415),
        ({"Accept": "application/vnd.elasticsearch+json; compatible-with=8"}, 201),
    ],
)
def test_foreign_clients_are_refused(http, headers, status):
    """A 9.x client, a web page, a rebound host name and a body of another type are refused."""
    given = {"Content-Type": "application/json", **headers}
    answer = http.put(f"/guard-{status}/_doc/{len(str(headers))}", content='{"n":1}', headers=given)
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["error"]["type"] == "media_type_header_exception"


def test_an_enormous_body_is_refused_unread(url):
    """A request that announces an enormous body gets 413 before it has sent any of it."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        head = f"POST /_bulk HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        sock.sendall(f"{head}Content-Length: 99000000000\r\n\r\n".encode())
        assert sock.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "body",
    ["", '{"index":{}}', '{"update":{"_id":"1"}}\n{}\n', "[1]\n", '{"index":{"_id":"1"}}\n', "{\n"],
)
def test_a_malformed_bulk_is_refused_as_a_whole(http, body):
    """A bulk body that cannot be read is 400 and writes nothing."""
    answer = http.post("/malformed/_bulk", content=body, headers=NDJSON)
    assert answer.status_code == 400
    assert http.head("/malformed").status_code == 404


@pytest.mark.parametrize("document", ["{", "[]", '{"n":NaN}', "[" * 100_000, '{"a":' * 20_000])
def test_a_damaged_document_is_refused(http, document):
    """A body that is no JSON object is 400, however deep it nests."""
    answer = http.put(
        "/damaged/_doc/1", content=document, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        ("long", 2**63 - 1, True),
        ("long", 2**63, False),
        ("byte", -129, False),
        ("integer", "12", True),
        ("long", True, False),
        ("double", "NaN", False),
        ("date", "2026-02-30", False),
        ("date", "2026-02-28T10:00:00Z", True),
        ("boolean", "false", True),
        ("keyword", 5, True),
    ],
)
def test_a_value_fits_its_type_or_not(kind, value, fits):
    """A value outside the range or form of its field type is refused at the edge."""
    assert (misfit(kind, value) == "") is fits


def test_sigterm_ends_it_at_once():
    """SIGTERM ends the stand-in with exit code 0 while a client holds a connection open."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with (
        service("elastic", {"LAB_PORT": str(port)}, f"{url}/healthz") as process,
        httpx.Client(trust_env=False) as http,
    ):
        http.get(url)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_leased_limits_end_by_themselves():
    """Leased limits hold until their lease ends, and nobody has to take them back."""
    book = LimitsBook(base=Limits())
    lent = book.lend(Lease(id="a", limits=Limits(queue=0), ends_at_s=10.0), 0.0)
    assert lent.limits(9.9).queue == 0
    assert lent.limits(10.0) == Limits()
    with pytest.raises(ValueError, match="under the id a"):
        lent.lend(Lease(id="b", limits=Limits(), ends_at_s=10.0), 9.0)
    assert lent.lend(Lease(id="b", limits=Limits(queue=1), ends_at_s=20.0), 10.0).held(11.0)
    assert lent.end("b") == lent
    assert lent.end("a").end("a").limits(5.0) == Limits()


def test_leased_limits_refuse_writes_and_go_back_whole(http):
    """A lease changes what is asked for, and its end restores what was set before, not defaults."""
    http.put("/_lab/limits", json={"queue": 7}, headers=TOKEN)
    order = {"id": "drill", "lease_s": 30, "limits": {"coordinating_bytes": 1}}
    assert http.put("/_lab/limits/lease", json=order).status_code == 403
    shown = http.put("/_lab/limits/lease", json=order, headers=TOKEN).json()
    assert (shown["queue"], shown["coordinating_bytes"], shown["lease"]) == (7, 1, "drill")
    assert http.post("/i/_bulk", content=_bulk(1), headers=NDJSON).status_code == 429
    other = {**order, "id": "other"}
    assert http.put("/_lab/limits/lease", json=other, headers=TOKEN).status_code == 409
    for _ in range(2):
        back = http.delete("/_lab/limits/lease/drill", headers=TOKEN).json()
        assert (back["queue"], back["lease"]) == (7, None)
    assert http.post("/i/_bulk", content=_bulk(1), headers=NDJSON).status_code == 200
