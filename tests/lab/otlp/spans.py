"""Builders of OTLP exports."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

BASE_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z


def attribute(key, value):
    """One attribute of the type that its Python value has."""
    names = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
    return KeyValue(key=key, value=AnyValue(**{names[type(value)]: value}))


def export(*spans, service="svc", **resource):
    """An export of spans that all come from one service."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    pairs = {"service.name": service, **resource}
    group.resource.attributes.extend(attribute(k, v) for k, v in pairs.items())
    part = group.scope_spans.add()
    part.scope.name, part.scope.version = "test.scope", "1"
    for keys in spans:
        add_span(part, **keys)
    return request


def add_span(part, trace=1, span=1, parent=0, name="op", kind=1, at_s=0.0, **more):
    """One span; `took_s`, `error` and `attributes` are optional."""
    made = part.spans.add()
    made.trace_id = trace.to_bytes(16, "big")
    made.span_id = span.to_bytes(8, "big")
    if parent:
        made.parent_span_id = parent.to_bytes(8, "big")
    made.name, made.kind = name, kind
    made.start_time_unix_nano = BASE_NS + round(at_s * 1e9)
    made.end_time_unix_nano = made.start_time_unix_nano + round(more.get("took_s", 0.001) * 1e9)
    made.attributes.extend(attribute(k, v) for k, v in more.get("attributes", {}).items())
    if more.get("error"):
        made.status.code, made.status.message = 2, more["error"]
    return made
