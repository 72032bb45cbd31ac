"""One running trace collector and what tests ask it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.lab.services import free_ports, service

PROTOBUF = {"Content-Type": "application/x-protobuf"}
DAY = {
    "query.startTimeMin": "2026-01-01T00:00:00Z",
    "query.startTimeMax": "2026-01-02T00:00:00Z",
}


@dataclass(frozen=True)
class Collector:
    """A collector that runs: its receiver, its query API and its gRPC port."""

    otlp: httpx.Client
    jaeger: httpx.Client
    otlp_port: int
    rpc_port: int

    def send(self, request):
        """Export as protobuf, and expect that it is taken."""
        sent = self.otlp.post("/v1/traces", content=request.SerializeToString(), headers=PROTOBUF)
        assert sent.status_code == 200
        return sent

    def find(self, service_name, **more):
        """The v3 answer for one service on the day that all built spans are of."""
        query = {"query.serviceName": service_name, **DAY, **more}
        return self.jaeger.get("/api/v3/traces", params=query)


def spans(answer):
    """All spans of a v3 answer."""
    return [
        span
        for group in answer.json()["result"]["resourceSpans"]
        for part in group["scopeSpans"]
        for span in part["spans"]
    ]


@contextmanager
def running(folder: Path) -> Iterator[Collector]:
    """A collector that keeps its spans in a folder."""
    query, http, rpc = free_ports(3)
    env = {
        "LAB_PORT": str(query),
        "LAB_OTLP_HTTP_PORT": str(http),
        "LAB_OTLP_GRPC_PORT": str(rpc),
        "LAB_DATA": str(folder),
    }
    url = "http://127.0.0.1:{}".format
    with (
        service("otlp", env, url(query) + "/healthz"),
        httpx.Client(base_url=url(http), trust_env=False) as otlp,
        httpx.Client(base_url=url(query), trust_env=False) as jaeger,
    ):
        yield Collector(otlp=otlp, jaeger=jaeger, otlp_port=http, rpc_port=rpc)
