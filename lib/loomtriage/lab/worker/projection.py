"""Search projection: what an answer means for a row, and how a batch is written row by row."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from opentelemetry import trace
from opentelemetry.context import Context

from loomtriage.lab.outbox.claims import OutboxRow, Standing
from loomtriage.lab.outbox.failures import Failure, of_exception, of_status
from loomtriage.lab.outbox.settle import Attempt, Settled
from loomtriage.lab.worker.batch import Batch, Desk
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


def unknown_op(row: OutboxRow) -> Attempt:
    """The attempt at a row whose op does not exist."""
    return Attempt(failure=Failure(reason="unknown_op", error=f"unknown_op: {row.op[:20]!r}"))


class PerEvent:
    """One request a row, several rows at a time when concurrency allows.

    No two rows of a batch belong to one entity (claims sees to that), so threads cannot reorder.
    """

    def __init__(self, desk: Desk, *, concurrency: int) -> None:
        self._desk = desk
        self._concurrency = concurrency

    def process(self, batch: Batch) -> None:
        """Process a batch; rows not begun when the worker should stop are given back."""
        with self._desk.batch_span(batch, mode="per_event", partial=None) as settled:
            parent = trace.set_span_in_context(trace.get_current_span())
            with ThreadPoolExecutor(self._concurrency, thread_name_prefix="row") as pool:
                found = pool.map(lambda row: self._one(batch, row, parent=parent), batch.rows)
                settled.extend(one for one in found if one is not None)

    def _one(self, batch: Batch, row: OutboxRow, *, parent: Context) -> Settled | None:
        desk = self._desk
        try:
            if desk.stop.is_set():
                desk.claims.release([row.id])
                return None
            with desk.row_span(batch, row, parent=parent):
                standing = desk.claims.standing(row.id)
                if standing is not Standing.MINE:
                    return desk.settler.lost(row, standing, batch_id=batch.id)
                attempt = self._attempt(batch, row)
                return desk.settler.settle(row, attempt, batch_id=batch.id)
        finally:
            desk.held.drop([row])

    def _attempt(self, batch: Batch, row: OutboxRow) -> Attempt:
        desk = self._desk
        try:
            if row.op == "delete":
                return attempt_of(row, desk.elastic.delete(doc_id(row), version=row.event_version))
            if row.op != "upsert":
                return unknown_op(row)
            source = desk.source_of(row)
            if source is None:
                desk.report_missing(row, batch_id=batch.id)
                return Attempt()
            return attempt_of(row, desk.elastic.put(doc_id(row), source))
        except Exception as error:  # noqa: BLE001  every failure of an attempt has a reason
            return Attempt(failure=of_exception(error))
