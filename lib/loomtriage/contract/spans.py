"""Spans: the operations that the pipeline traces, and which service owns each."""

from __future__ import annotations

from dataclasses import dataclass

API_SERVICE = "wordloom-api"
SEARCH_SERVICE = "wordloom-search-outbox-worker"
CHRONICLE_SERVICE = "wordloom-chronicle-outbox-worker"
SERVICES = (API_SERVICE, SEARCH_SERVICE, CHRONICLE_SERVICE)

CLAIM = "outbox.claim_batch"
BATCH = "projection.process_batch"
ROW = "outbox.process"
OBS_SCHEMA = "labs-009-v2"
FAILURE_COUNTS = ("retry_count", "failed_count", "failure_count")
"""Attributes of a batch that count the items which did not succeed."""
ES_METHODS = ("PUT", "POST", "DELETE", "GET", "HEAD")
"""Client spans of the HTTP instrumentation are named after the method."""
SERVER_NEEDS = ("wordloom.env", "wordloom.correlation_id")
"""Attributes of the API's server spans, whose names are method and route."""
WORKER_NEEDS = ("wordloom.env", "wordloom.projection", "wordloom.worker_id")
"""Attributes of every span that a worker itself makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanKind:
    """One operation of the contract.

    Attributes:
        operation: span name.
        kind: OTel span kind.
        parent: operation it hangs under, empty for a root.
        needs: attributes that must be present.
        says: what the step does.
    """

    operation: str
    kind: str
    parent: str = ""
    needs: tuple[str, ...] = ()
    says: str


SPANS: tuple[SpanKind, ...] = (
    SpanKind(
        operation=CLAIM,
        kind="internal",
        needs=(*WORKER_NEEDS, "wordloom.claim_batch_id", "claimed"),
        says="claim rows with SKIP LOCKED",
    ),
    SpanKind(
        operation=BATCH,
        kind="internal",
        needs=(
            *WORKER_NEEDS,
            "wordloom.claim_batch_id",
            "op",
            "attempt",
            "result",
            "reason",
            "batch_size",
        ),
        says="process one claimed batch",
    ),
    SpanKind(
        operation=ROW,
        kind="internal",
        parent=BATCH,
        needs=(
            *WORKER_NEEDS,
            "wordloom.claim_batch_id",
            "wordloom.outbox_event_id",
            "wordloom.entity_id",
            "op",
            "result",
            "reason",
        ),
        says="process one outbox row",
    ),
    SpanKind(
        operation="PUT",
        kind="client",
        parent=ROW,
        needs=("http.method", "http.url"),
        says="write one document to Elasticsearch",
    ),
    SpanKind(
        operation="DELETE",
        kind="client",
        parent=ROW,
        needs=("http.method", "http.url"),
        says="delete one document in Elasticsearch",
    ),
    SpanKind(
        operation="POST",
        kind="client",
        parent=BATCH,
        needs=("http.method", "http.url"),
        says="send one bulk request to Elasticsearch",
    ),
)
