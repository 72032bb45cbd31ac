"""Trace documents as they come: which traces does one hold, and how is it cut down to some?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from loomtriage.sources.spans.jaeger import hex_id

Wanted = Callable[[str], bool]
"""Whether a trace is kept; asked with its id in hex, or with an empty text for an unreadable id."""
_SCOPES = ("scopeSpans", "instrumentationLibrarySpans")


def trace_ids(document: object) -> set[str]:
    """Ids of the traces that a document holds, in either form."""
    return set(_ids(document)) - {""}


def only(document: object, wanted: Wanted) -> object:
    """The document without the traces that are not wanted.

    What has an unreadable id, or another shape, is asked for with an empty text or kept, so that
    whoever reads the document can count it.
    """
    resources = _resources(document)
    if resources is not None:
        return {"result": {"resourceSpans": list(_cut(resources, wanted))}}
    traces = document.get("data") if isinstance(document, Mapping) else None
    if isinstance(traces, list):
        return {"data": [one for one in traces if wanted(_trace_id(one))]}
    return document


def merged(found: list[object]) -> list[object]:
    """Several documents of one answer as one; Jaeger may stream a search in pieces."""
    resources = [part for one in found for part in _resources(one) or []]
    others = [one for one in found if _resources(one) is None]
    return [{"result": {"resourceSpans": resources}}, *others] if resources else others


def _cut(resources: list[Any], wanted: Wanted) -> Iterator[object]:
    for resource in resources:
        name = next((one for one in _SCOPES if _is_list(resource, one)), "")
        if not name or not all(_is_list(scope, "spans") for scope in resource[name]):
            yield resource
            continue
        scopes = [
            {**scope, "spans": [raw for raw in scope["spans"] if wanted(_id(raw))]}
            for scope in resource[name]
        ]
        kept = [scope for scope in scopes if scope["spans"]]
        if kept:
            yield {**resource, name: kept}


def _is_list(owner: object, name: str) -> bool:
    return isinstance(owner, Mapping) and isinstance(owner.get(name), list)


def _resources(document: object) -> list[Any] | None:
    inner = document.get("result", document) if isinstance(document, Mapping) else None
    found = inner.get("resourceSpans") if isinstance(inner, Mapping) else None
    return found if isinstance(found, list) else None


def _ids(document: object) -> Iterator[str]:
    for resource in _maps(_resources(document)):
        for name in _SCOPES:
            for scope in _maps(resource.get(name)):
                yield from (_id(raw) for raw in _maps(scope.get("spans")))
    if isinstance(document, Mapping):
        yield from (_trace_id(trace) for trace in _maps(document.get("data")))


def _trace_id(trace: object) -> str:
    """Id of a trace in the older form, whose spans carry it too."""
    spans = _maps(trace.get("spans")) if isinstance(trace, Mapping) else []
    return _id(trace) or next((found for raw in spans if (found := _id(raw))), "")


def _maps(found: object) -> list[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _id(raw: object) -> str:
    if not isinstance(raw, Mapping):
        return ""
    try:
        return hex_id(raw.get("traceId", raw.get("traceID")), 32)
    except ValueError:
        return ""
