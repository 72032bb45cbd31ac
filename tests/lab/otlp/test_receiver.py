"""The trace collector takes every form of OTLP and answers as Jaeger does."""

from __future__ import annotations

import gzip
import json
import signal
import socket
import time

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from tests.lab.otlp.collector import PROTOBUF, running, spans
from tests.lab.otlp.spans import export
from tests.lab.services import free_ports, service


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    """A running collector."""
    with running(tmp_path_factory.mktemp("otlp")) as collector:
        yield collector


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff\xff", PROTOBUF, 400),
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"[]", {"Content-Type": "application/json"}, 400),
        (b'{"resourceSpans":[7]}', {"Content-Type": "application/json"}, 400),
        (b"[" * 100_000, {"Content-Type": "application/json"}, 400),
        (b"x", {"Content-Type": "text/plain"}, 415),
        (b"x", {**PROTOBUF, "Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"x" * 100)[:-9], {**PROTOBUF, "Content-Encoding": "gzip"}, 400),
        (gzip.compress(bytes(40 * 2**20)), {**PROTOBUF, "Content-Encoding": "gzip"}, 413),
        (b"", {**PROTOBUF, "Origin": "http://evil.example"}, 403),
        (b"", {**PROTOBUF, "Host": "evil.example"}, 403),
    ],
    ids=[
        "no-protobuf",
        "cut-json",
        "no-object",
        "no-group",
        "too-deep",
        "other-type",
        "no-gzip",
        "cut-gzip",
        "bomb",
        "web-page",
        "other-host",
    ],
)
def test_a_bad_export_is_refused(collector, body, headers, status):
    """What is no export, unpacks to too much or comes from a web page is refused."""
    assert collector.otlp.post("/v1/traces", content=body, headers=headers).status_code == status


def test_an_enormous_body_is_refused_unread(collector):
    """Announced or not, a body beyond the cap gets 413."""
    with socket.create_connection(("127.0.0.1", collector.otlp_port), timeout=10) as sock:
        head = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        sock.sendall(
            f"{head}application/x-protobuf\r\nContent-Length: 99000000000\r\n\r\n".encode()
        )
        assert sock.recv(12) == b"HTTP/1.1 413"


def test_a_span_is_found_as_soon_as_its_export_returned(collector):
    """There is no delay between an export and the first query that finds it."""
    for n in range(1, 30):
        collector.send(export({"trace": n, "attributes": {"n": n}}, service="at-once"))
        answer = collector.find("at-once", **{"query.attributes": json.dumps({"n": str(n)})})
        assert [span["traceId"] for span in spans(answer)] == [f"{n:032x}"]


def test_all_three_forms_of_otlp_mean_the_same(collector):
    """A span sent as protobuf, as JSON and over gRPC is the same span in every answer."""
    as_json = {
        "resourceSpans": [
            {
                "resource": {
                    "attributes": [{"key": "service.name", "value": {"stringValue": "forms"}}]
                },
                "scopeSpans": [
                    {
                        "scope": {"name": "test.scope", "version": "1"},
                        "spans": [
                            {
                                "traceId": f"{2:032X}",
                                "spanId": f"{1:016x}",
                                "name": "op",
                                "kind": 1,
                                "startTimeUnixNano": "1767225600000000000",
                                "endTimeUnixNano": "1767225600001000000",
                                "unknownField": 1,
                            }
                        ],
                    }
                ],
            }
        ]
    }
    collector.send(export({"trace": 1}, service="forms"))
    assert collector.otlp.post("/v1/traces", json=as_json).json() == {}
    with grpc.insecure_channel(f"127.0.0.1:{collector.rpc_port}") as channel:
        stub = trace_service_pb2_grpc.TraceServiceStub(channel)
        stub.Export(export({"trace": 3}, service="forms"), timeout=10)
    found = spans(collector.find("forms"))
    assert sorted(span.pop("traceId") for span in found) == [f"{n:032x}" for n in (1, 2, 3)]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_the_official_sdk_is_understood(collector, compression):
    """A trace of the OpenTelemetry SDK arrives with its parent, attributes, exception and error."""
    name = f"sdk-{compression.value}"
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    exporter = OTLPSpanExporter(
        f"http://127.0.0.1:{collector.otlp_port}/v1/traces", compression=compression
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("t")
    with (
        tracer.start_as_current_span("parent"),
        tracer.start_as_current_span("PUT", kind=SpanKind.CLIENT) as child,
    ):
        child.set_attribute("http.status_code", 429)
        child.record_exception(RuntimeError("no"))
        child.set_status(Status(StatusCode.ERROR, "429"))
    provider.shutdown()
    found = collector.jaeger.get(
        "/api/traces",
        params={"service": name, "tags": '{"http.status_code":"429"}', "lookback": "1h"},
    ).json()["data"]
    assert {span["operationName"] for span in found[0]["spans"]} == {"parent", "PUT"}
    assert found[0]["spans"][1]["logs"][0]["fields"][0]["value"] == "exception"
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 5))
    query = {"query.startTimeMin": "2026-01-01T00:00:00Z", "query.startTimeMax": now}
    both = collector.jaeger.get("/api/v3/traces", params={**query, "query.serviceName": name})
    assert len(spans(both)) == 2


def test_a_refused_span_is_reported_to_its_sender(collector):
    """A malformed span inside a good export is a partial success that counts it."""
    request = export({"trace": 1}, service="partial")
    request.resource_spans[0].scope_spans[0].spans[0].span_id = b""
    answer = collector.send(request)
    assert b"malformed" in answer.content


def test_a_taken_port_and_sigterm_end_it(collector, tmp_path):
    """A second collector never shares a port silently, and SIGTERM ends one with exit code 0."""
    query, http, rpc = free_ports(3)
    env = {
        "LAB_PORT": str(query),
        "LAB_OTLP_HTTP_PORT": str(http),
        "LAB_OTLP_GRPC_PORT": str(collector.rpc_port),
        "LAB_DATA": str(tmp_path),
    }
    url = f"http://127.0.0.1:{query}/healthz"
    with pytest.raises(AssertionError, match="ended with 2"), service("otlp", env, url):
        pass
    with service("otlp", {**env, "LAB_OTLP_GRPC_PORT": str(rpc)}, url) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
