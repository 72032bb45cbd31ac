"""The query API answers in the shapes of Jaeger, the newer and the older one."""

from __future__ import annotations

import pytest

from tests.lab.otlp.collector import DAY, running
from tests.lab.otlp.spans import export

DAY_US = {"start": "1767225600000000", "end": "1767312000000000"}


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    """A running collector."""
    with running(tmp_path_factory.mktemp("otlp")) as collector:
        yield collector


def test_nothing_found_is_404_and_a_bad_question_400(collector):
    """In the v3 API no match is 404 with Jaeger's message, and a malformed parameter is 400."""
    none = collector.find("nobody")
    assert none.status_code == 404
    assert none.json() == {"error": {"httpCode": 404, "message": "No traces found"}}
    for bad in (
        {"query.startTimeMin": ""},
        {"query.startTimeMax": "yesterday"},
        {"query.startTimeMin": DAY["query.startTimeMax"]},
        {"query.searchDepth": "0"},
        {"query.durationMin": "5"},
        {"query.attributes": "a=b"},
        {"query.attributes": '{"a":1}'},
    ):
        answer = collector.find("svc", **bad)
        assert (answer.status_code, answer.json()["error"]["httpCode"]) == (400, 400)
    assert collector.jaeger.get("/api/v3/traces/xyz").status_code == 400
    assert collector.jaeger.get("/api/v3/traces/" + "f" * 32).status_code == 404
    assert collector.jaeger.get("/api/v3/operations").status_code == 400


def test_the_older_api_has_its_own_shapes(collector):
    """In the older API no match is an empty list, and an error names its code and message."""
    none = collector.jaeger.get("/api/traces", params={"service": "nobody", **DAY_US})
    assert none.json() == {"data": [], "total": 0, "limit": 0, "offset": 0, "errors": None}
    bad = collector.jaeger.get("/api/traces")
    assert bad.status_code == 400
    assert bad.json()["errors"] == [{"code": 400, "msg": "parameter 'service' is required"}]
    for params in ({"tags": "a"}, {"limit": "x"}, {"start": "now"}, {"minDuration": "5"}):
        answer = collector.jaeger.get("/api/traces", params={"service": "svc", **params})
        assert answer.status_code == 400
    assert collector.jaeger.get("/api/traces/" + "f" * 32).status_code == 404


def test_v3_writes_ids_numbers_and_kinds_as_jaeger_does(collector):
    """Ids are hex, nanoseconds and integers are strings, kinds and status codes are integers."""
    request = export(
        {"trace": 0xABC, "span": 2, "parent": 1, "kind": 3, "name": "PUT", "error": "429"},
        service="shape",
    )
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.events.add(name="exception", time_unix_nano=span.start_time_unix_nano)
    collector.send(request)
    answer = collector.find("shape")
    found = answer.json()["result"]["resourceSpans"][0]
    assert found["resource"]["attributes"] == [
        {"key": "service.name", "value": {"stringValue": "shape"}}
    ]
    assert found["scopeSpans"][0]["scope"] == {"name": "test.scope", "version": "1"}
    shown = found["scopeSpans"][0]["spans"][0]
    assert (shown["traceId"], shown["spanId"], shown["parentSpanId"]) == (
        f"{0xABC:032x}",
        f"{2:016x}",
        f"{1:016x}",
    )
    assert (shown["startTimeUnixNano"], shown["kind"]) == ("1767225600000000000", 3)
    assert shown["status"] == {"message": "429", "code": 2}
    assert shown["events"][0]["name"] == "exception"
    assert collector.jaeger.get("/api/v3/traces/abc").json() == answer.json()


def test_the_older_api_writes_exports_as_wordloom_has_them(collector):
    """A trace has microseconds, typed tags, references and processes, as in a Jaeger export."""
    keys = {"attempt": 0, "claimed": True, "share": 0.5, "op": "upsert"}
    collector.send(
        export(
            {"trace": 0xDEF, "span": 1, "took_s": 0.25},
            {"trace": 0xDEF, "span": 2, "parent": 1, "at_s": 0.1, "attributes": keys, "error": "x"},
            service="legacy",
            host="h",
        ),
    )
    params = {"service": "legacy", "tags": '{"attempt":"0","error":"true"}', **DAY_US}
    (trace,) = collector.jaeger.get("/api/traces", params=params).json()["data"]
    root, child = trace["spans"]
    process = {"serviceName": "legacy", "tags": [{"key": "host", "type": "string", "value": "h"}]}
    assert trace["processes"] == {"p1": process}
    assert (root["startTime"], root["duration"], root["references"]) == (
        1767225600000000,
        250000,
        [],
    )
    assert child["references"] == [
        {"refType": "CHILD_OF", "traceID": f"{0xDEF:032x}", "spanID": f"{1:016x}"}
    ]
    tags = {tag["key"]: (tag["type"], tag["value"]) for tag in child["tags"]}
    assert tags["attempt"] == ("int64", 0)
    assert tags["claimed"] == ("bool", True)
    assert tags["share"] == ("float64", 0.5)
    assert tags["error"] == ("bool", True)
    assert tags["otel.status_description"] == ("string", "x")
    assert list(tags) == sorted(tags)
    names = collector.jaeger.get("/api/services").json()
    assert "legacy" in names["data"]
    assert names["total"] == len(names["data"])
    assert collector.jaeger.get("/api/services/legacy/operations").json()["data"] == ["op"]
    pairs = collector.jaeger.get("/api/operations", params={"service": "legacy"}).json()["data"]
    assert pairs == [{"name": "op", "spanKind": "internal"}]
