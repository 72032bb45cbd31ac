"""OTLP values: how attributes and spans of OTLP read as JSON and as plain text."""

from __future__ import annotations

import base64
import json
import math

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

Json = dict[str, object]

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")


def plain(value: AnyValue) -> object:
    """The value of an attribute as a JSON-friendly Python value."""
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    if kind == "array_value":
        return [plain(part) for part in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)


def as_text(value: AnyValue) -> str:
    """The value of an attribute as a search for it is written."""
    found = plain(value)
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, float):
        return f"{found:.10g}"
    return found if isinstance(found, str) else json.dumps(found, sort_keys=True)


def kind_name(span: Span) -> str:
    """The span's kind in lower case."""
    return KINDS[span.kind] if 0 <= span.kind < len(KINDS) else KINDS[0]


def is_error(span: Span) -> bool:
    """Whether the span's status is ERROR."""
    return bool(span.status.code == Status.STATUS_CODE_ERROR)


def service_of(resource: Resource) -> str:
    """The service name of a resource, as OpenTelemetry calls one without a name."""
    for pair in resource.attributes:
        if pair.key == "service.name" and pair.value.string_value:
            return str(pair.value.string_value)
    return "unknown_service"


def show_resource(resource: Resource) -> Json:
    """A resource as OTLP/JSON."""
    return {"attributes": [_pair(pair) for pair in resource.attributes]}


def show_scope(scope: InstrumentationScope) -> Json:
    """An instrumentation scope as OTLP/JSON."""
    shown: Json = {"name": scope.name}
    if scope.version:
        shown["version"] = scope.version
    if scope.attributes:
        shown["attributes"] = [_pair(pair) for pair in scope.attributes]
    return shown


def show_span(span: Span) -> Json:
    """A span as OTLP/JSON: hex ids, nanoseconds as strings, enums as integers."""
    shown: Json = {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "parentSpanId": span.parent_span_id.hex(),
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "endTimeUnixNano": str(span.end_time_unix_nano),
        "attributes": [_pair(pair) for pair in span.attributes],
        "status": _status(span.status),
    }
    if span.flags:
        shown["flags"] = span.flags
    if span.trace_state:
        shown["traceState"] = span.trace_state
    if span.events:
        shown["events"] = [
            {
                "timeUnixNano": str(event.time_unix_nano),
                "name": event.name,
                "attributes": [_pair(pair) for pair in event.attributes],
            }
            for event in span.events
        ]
    if span.links:
        shown["links"] = [
            {
                "traceId": link.trace_id.hex(),
                "spanId": link.span_id.hex(),
                "attributes": [_pair(pair) for pair in link.attributes],
            }
            for link in span.links
        ]
    return shown


def _status(status: Status) -> Json:
    shown: Json = {}
    if status.message:
        shown["message"] = status.message
    if status.code:
        shown["code"] = status.code
    return shown


def _pair(pair: KeyValue) -> Json:
    return {"key": pair.key, "value": _any(pair.value)}


def _any(value: AnyValue) -> Json:
    kind = value.WhichOneof("value")
    if kind is None:
        return {}
    if kind == "array_value":
        return {"arrayValue": {"values": [_any(part) for part in value.array_value.values]}}
    if kind == "kvlist_value":
        return {"kvlistValue": {"values": [_pair(part) for part in value.kvlist_value.values]}}
    if kind == "int_value":
        return {"intValue": str(value.int_value)}
    if kind == "double_value" and not math.isfinite(value.double_value):
        return {"doubleValue": _NOT_FINITE.get(value.double_value, "NaN")}
    camel = {"string_value": "stringValue", "bool_value": "boolValue", "bytes_value": "bytesValue"}
    return {camel.get(kind, "doubleValue"): plain(value)}


_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}
