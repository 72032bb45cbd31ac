"""Builders of trace documents in both Jaeger forms."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from loomtriage.model import Window

START = datetime(2026, 2, 14, 14, 0, tzinfo=UTC)
NS = int(START.timestamp()) * 10**9
WINDOW = Window(START, START + timedelta(seconds=10))
SERVICE = "wordloom-search-outbox-worker"


def otlp(*spans, service=SERVICE):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    groups = [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]
    return json.dumps({"result": {"resourceSpans": groups}}).encode()


def span(number, *, at=1.0, trace=1, name="PUT", kind=3, **more):
    start = NS + int(at * 1e9)
    return {
        "traceId": f"{trace:032x}",
        "spanId": f"{number:016x}",
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 250_000_000),
        **more,
    }


def attrs(**values):
    kinds = {bool: "boolValue", int: "intValue", str: "stringValue"}
    return [
        {"key": k.replace("__", "."), "value": {kinds[type(v)]: str(v) if type(v) is int else v}}
        for k, v in values.items()
    ]


def old(*spans):
    return json.dumps(
        {
            "data": [
                {
                    "traceID": "1",
                    "spans": list(spans),
                    "processes": {"p1": {"serviceName": SERVICE, "tags": []}},
                }
            ],
            "total": 0,
        }
    ).encode()


def old_span(number, **tags):
    return {
        "traceID": "1",
        "spanID": str(number),
        "operationName": "PUT",
        "processID": "p1",
        "references": [{"refType": "CHILD_OF", "traceID": "1", "spanID": "9"}],
        "startTime": NS // 1000 + 1_000_000,
        "duration": 250_000,
        "tags": [{"key": k.replace("__", "."), "value": v} for k, v in tags.items()],
    }
