"""Search projection: what an answer means for a row, and how one row becomes one document."""

from __future__ import annotations

from collections.abc import Callable

from loomtriage.lab.outbox.batch import Batch
from loomtriage.lab.outbox.claims import OutboxRow
from loomtriage.lab.outbox.failures import of_status
from loomtriage.lab.outbox.settle import Attempt, unknown_op
from loomtriage.lab.worker.documents import Documents
from loomtriage.lab.worker.es_client import Answer


def doc_id(row: OutboxRow) -> str:
    """The Elasticsearch id of a row's entity."""
    return f"{row.entity_type}:{row.entity_id}"


def attempt_of(row: OutboxRow, answer: Answer) -> Attempt:
    """What an answer means for a row: gone already and superseded are successes."""
    status = answer.status
    if row.op == "delete" and status == 404:
        return Attempt(status=status, noop="es_404")
    if status is not None and (200 <= status < 300 or status == 409):
        return Attempt(status=status)
    return Attempt(status=status, failure=of_status(status, error=answer.error))


def search_attempt(documents: Documents) -> Callable[[Batch, OutboxRow], Attempt]:
    """One request for one row."""

    def attempt(batch: Batch, row: OutboxRow) -> Attempt:
        if row.op == "delete":
            return attempt_of(row, documents.elastic.delete(doc_id(row), version=row.event_version))
        if row.op != "upsert":
            return unknown_op(row)
        source = documents.source_of(row)
        if source is None:
            documents.report_missing(row, batch_id=batch.id)
            return Attempt()
        return attempt_of(row, documents.elastic.put(doc_id(row), source))

    return attempt
