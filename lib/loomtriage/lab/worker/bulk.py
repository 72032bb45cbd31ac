"""Bulk mode: how one claimed batch becomes one `_bulk` request, and what its items say."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from opentelemetry import trace

from loomtriage.contract.keys import Result
from loomtriage.lab.outbox.batch import Batch
from loomtriage.lab.outbox.claims import OutboxRow
from loomtriage.lab.outbox.failures import failure_class, of_exception, single
from loomtriage.lab.outbox.settle import Attempt, unknown_op
from loomtriage.lab.telemetry.meters import Meters
from loomtriage.lab.worker.documents import Documents
from loomtriage.lab.worker.es_client import BulkItem
from loomtriage.lab.worker.projection import attempt_of, doc_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The rows of a batch, sorted by what they need."""

    writes: tuple[tuple[OutboxRow, BulkItem], ...]
    already: tuple[tuple[OutboxRow, Attempt], ...]


class Bulk:
    """One request a batch."""

    def __init__(self, documents: Documents, meters: Meters) -> None:
        self._documents = documents
        self._desk = documents.desk
        self._meters = meters

    def process(self, batch: Batch) -> None:
        """Process a batch; nothing is begun when the worker should stop."""
        desk = self._desk
        if desk.stop.is_set():
            desk.claims.release([row.id for row in batch.rows])
            desk.held.drop(batch.rows)
            return
        with desk.batch_span(batch, mode="es_bulk", partial=Result.PARTIAL) as settled:
            parent = trace.set_span_in_context(trace.get_current_span())
            prepared = self._prepare(batch)
            for row, attempt in (*prepared.already, *self._request(batch, prepared)):
                with desk.row_span(batch, row, parent=parent):
                    settled.append(desk.settler.settle(row, attempt, batch_id=batch.id))
                desk.held.drop([row])

    def _prepare(self, batch: Batch) -> Prepared:
        documents = self._documents
        writes: list[tuple[OutboxRow, BulkItem]] = []
        already: list[tuple[OutboxRow, Attempt]] = []
        for row in batch.rows:
            if row.op not in ("upsert", "delete"):
                already.append((row, unknown_op(row)))
                continue
            source = documents.source_of(row) if row.op == "upsert" else None
            if row.op == "upsert" and source is None:
                documents.report_missing(row, batch_id=batch.id)
                already.append((row, Attempt()))
                continue
            version = row.event_version if source is None else source.event_version
            item = BulkItem(doc_id=doc_id(row), version=version, source=source)
            writes.append((row, item))
        return Prepared(writes=tuple(writes), already=tuple(already))

    def _request(self, batch: Batch, prepared: Prepared) -> list[tuple[OutboxRow, Attempt]]:
        if not prepared.writes:
            return []
        rows = [row for row, _ in prepared.writes]
        items = [item for _, item in prepared.writes]
        self._desk.claims.renew([row.id for row in rows])
        started = time.monotonic()
        try:
            answers = self._documents.elastic.bulk(items)
            attempts = [attempt_of(row, said) for row, said in zip(rows, answers, strict=True)]
        except Exception as error:  # noqa: BLE001  every failure of a request has a reason
            attempts = [Attempt(failure=of_exception(error))] * len(rows)
        self._meters.observe("bulk_duration", time.monotonic() - started)
        self._count(batch, items, attempts)
        return list(zip(rows, attempts, strict=True))

    def _count(self, batch: Batch, items: Sequence[BulkItem], attempts: Sequence[Attempt]) -> None:
        failures = [attempt.failure for attempt in attempts if attempt.failure is not None]
        result = "success"
        if failures:
            result = "partial" if len(failures) < len(attempts) else "failed"
            reason = single([failure.reason for failure in failures])
            self._meters.add("bulk_failed_requests", reason=reason)
        self._meters.add("bulk_requests", result=result)
        for item, attempt in zip(items, attempts, strict=True):
            failure = attempt.failure
            end = "success" if failure is None else "failed"
            self._meters.add("bulk_items", op=item.op, result=end)
            if failure is not None:
                label = failure_class(failure)
                self._meters.add("bulk_item_failures", op=item.op, failure_class=label)
        self._desk.log.emit(
            logging.INFO if result == "success" else logging.WARNING,
            "outbox.bulk_request",
            claim_batch_id=batch.id,
            result=result,
            items=len(items),
            failed_items=len(failures),
            error=failures[0].error if failures else "",
        )
