"""OTLP JSON: exports whose ids are hex, where protobuf's own JSON would have base64."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping

from google.protobuf import json_format  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

_IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")


def read_export(body: bytes) -> ExportTraceServiceRequest:
    """The export in a JSON body; unknown fields are ignored, as OTLP asks.

    Raises:
        ValueError: it is no export.
    """
    try:
        found = json.loads(body)
        for span in _spans(found):
            _turn_ids(span)
            for link in _objects(span.get("links")):
                _turn_ids(link)
        export = ExportTraceServiceRequest()
        json_format.ParseDict(found, export, ignore_unknown_fields=True)
    except (json_format.ParseError, RecursionError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error
    return export


def _spans(export: object) -> Iterator[dict[str, object]]:
    for group in _objects(_either(export, "resourceSpans", "resource_spans")):
        for part in _objects(_either(group, "scopeSpans", "scope_spans")):
            yield from _objects(part.get("spans"))


def _either(found: object, *names: str) -> object:
    if not isinstance(found, Mapping):
        raise TypeError("expected a JSON object")
    return next((found[name] for name in names if name in found), [])


def _objects(found: object) -> list[dict[str, object]]:
    parts = [] if found is None else found
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise ValueError("expected a list of JSON objects")
    return parts


def _turn_ids(owner: dict[str, object]) -> None:
    for name in _IDS:
        if name in owner:
            owner[name] = base64.b64encode(bytes.fromhex(str(owner[name]))).decode()


def show_refused(answer: ExportTraceServiceResponse) -> dict[str, object]:
    """The response as JSON: empty when everything was kept."""
    refused = answer.partial_success.rejected_spans
    if not refused:
        return {}
    message = answer.partial_success.error_message
    return {"partialSuccess": {"rejectedSpans": str(refused), "errorMessage": message}}
