"""Elasticsearch client of the worker: how a search row becomes a document, and what ES answered.

Writes carry `version_type=external_gte` with the row's event version. A worker that was stopped
between reading and writing therefore cannot overwrite what another wrote meanwhile.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import httpx
from opentelemetry.instrumentation.httpx import (
    RequestInfo,
    ResponseInfo,
    SyncOpenTelemetryTransport,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, StatusCode

from loomtriage.lab.index import MAPPING

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One row of `search_index`: what a document is made of."""

    entity_type: str
    entity_id: UUID
    library_id: UUID | None
    text: str
    snippet: str | None
    rank_score: float | None
    created_at: datetime
    updated_at: datetime
    event_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Elasticsearch said about one document.

    Attributes:
        status: HTTP status of the answer or of the bulk item, None for an item without one.
        error: `type: reason`, empty when it succeeded.
    """

    status: int | None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkItem:
    """One write of a bulk request; a delete has no source row."""

    doc_id: str
    version: int
    source: SourceRow | None

    @property
    def op(self) -> str:
        """Name of the bulk action: index or delete."""
        return "delete" if self.source is None else "index"


def document(row: SourceRow) -> dict[str, object]:
    """The document of a search row, ready for JSON."""
    return {
        "entity_type": row.entity_type,
        "entity_id": str(row.entity_id),
        "library_id": None if row.library_id is None else str(row.library_id),
        "text": row.text,
        "snippet": row.snippet,
        # JSON has no NaN and no infinity; as text Elasticsearch itself refuses the document,
        # which makes such a row poison instead of an exception on our side.
        "rank_score": str(row.rank_score)
        if row.rank_score is not None and not math.isfinite(row.rank_score)
        else row.rank_score,
        "event_version": row.event_version,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }


def bulk_body(items: Sequence[BulkItem]) -> bytes:
    """The newline-delimited body of a bulk request."""
    lines: list[str] = []
    for item in items:
        meta = {"_id": item.doc_id, "version": item.version, "version_type": "external_gte"}
        lines.append(json.dumps({item.op: meta}))
        if item.source is not None:
            lines.append(json.dumps(document(item.source)))
    return ("\n".join(lines) + "\n").encode()


def read_items(body: object, expected: int) -> tuple[Answer, ...]:
    """The answers in a bulk response, one an item; unreadable ones come without a status."""
    items = body.get("items") if isinstance(body, dict) else None
    found = items if isinstance(items, list) else []
    if len(found) != expected:
        text = f"bulk_response: {len(found)} items for {expected} writes"
        return (Answer(status=None, error=text),) * expected
    return tuple(_item_answer(item) for item in found)


def _item_answer(item: object) -> Answer:
    part = next(iter(item.values()), None) if isinstance(item, dict) else None
    if not isinstance(part, dict):
        return Answer(status=None, error="bulk_response: an item without an action")
    status = part.get("status")
    known = status if isinstance(status, int) and not isinstance(status, bool) else None
    return Answer(status=known, error=error_text(part.get("error")))


def error_text(error: object) -> str:
    """`type: reason` of an error object, empty when there is none."""
    if isinstance(error, dict):
        return f"{error.get('type', 'error')}: {error.get('reason', '')}"
    return str(error) if error else ""


class ElasticClient:
    """Speaks plain JSON to one index.

    Args:
        url: base URL.
        index: index name.
        provider: receives a client span for every write.
        transport: how bytes travel, by default over HTTP.
    """

    def __init__(
        self,
        url: str,
        index: str,
        *,
        provider: TracerProvider,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._index = index
        traced = SyncOpenTelemetryTransport(
            transport or httpx.HTTPTransport(),
            tracer_provider=provider,
            response_hook=_forgive_missing,
        )
        # trust_env off: a proxy variable must not carry loopback traffic away.
        self._http = httpx.Client(
            base_url=url, transport=traced, timeout=TIMEOUT_S, trust_env=False
        )
        self._quiet = httpx.Client(base_url=url, transport=transport, timeout=2.0, trust_env=False)

    def put(self, doc_id: str, row: SourceRow) -> Answer:
        """Write one document."""
        return self._write("PUT", doc_id, version=row.event_version, body=document(row))

    def delete(self, doc_id: str, *, version: int) -> Answer:
        """Delete one document; 404 means that it was gone already."""
        return self._write("DELETE", doc_id, version=version, body=None)

    def _write(self, method: str, doc_id: str, *, version: int, body: object) -> Answer:
        response = self._http.request(
            method,
            f"/{self._index}/_doc/{doc_id}",
            params={"version": version, "version_type": "external_gte"},
            json=body,
        )
        return Answer(status=response.status_code, error=_error_of(response))

    def bulk(self, items: Sequence[BulkItem]) -> tuple[Answer, ...]:
        """Write many documents; a request that is refused as a whole refuses each of them."""
        response = self._http.post(
            f"/{self._index}/_bulk",
            content=bulk_body(items),
            headers={"Content-Type": "application/x-ndjson"},
        )
        if not response.is_success:
            whole = Answer(status=response.status_code, error=_error_of(response))
            return (whole,) * len(items)
        return read_items(_json(response), len(items))

    def ensure_index(self) -> bool:
        """Make the index with its strict mapping when it is absent; whether it was made.

        Raises:
            httpx.HTTPError: Elasticsearch is not reachable or refuses.
        """
        if self._quiet.head(f"/{self._index}").status_code == 200:
            return False
        response = self._quiet.put(f"/{self._index}", json={"mappings": dict(MAPPING)})
        if "resource_already_exists_exception" in response.text:
            return False
        response.raise_for_status()
        return True

    def ping(self, timeout_s: float) -> str:
        """Empty when Elasticsearch answers, else why it counts as unready."""
        try:
            status = self._quiet.get("/", timeout=timeout_s).status_code
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}"
        return "" if status < 500 else f"es_{status}"

    def close(self) -> None:
        """Close all connections."""
        self._http.close()
        self._quiet.close()


def _forgive_missing(span: Span, request: RequestInfo, response: ResponseInfo) -> None:
    # The instrumentation marks every 4xx as an error; a document that is gone already, or a
    # newer one in its place, is what idempotent delivery looks like.
    is_gone = request.method == b"DELETE" and response.status_code == 404
    if is_gone or response.status_code == 409:
        span.set_status(StatusCode.OK)


def _error_of(response: httpx.Response) -> str:
    if response.is_success:
        return ""
    body = _json(response)
    found = body.get("error") if isinstance(body, dict) else None
    return error_text(found) or f"HTTP {response.status_code}"


def _json(response: httpx.Response) -> object:
    try:
        parsed: object = response.json()
    except ValueError:
        return None
    return parsed
