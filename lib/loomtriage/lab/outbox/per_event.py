"""Per event: how a batch is worked off row by row, and what a row's failure leaves untouched."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from opentelemetry import trace
from opentelemetry.context import Context

from loomtriage.lab.outbox.batch import Batch, Desk
from loomtriage.lab.outbox.claims import OutboxRow, Standing
from loomtriage.lab.outbox.failures import of_exception
from loomtriage.lab.outbox.settle import Attempt, Settled

Try = Callable[[Batch, OutboxRow], Attempt]
"""Project one row of a batch; what it raises becomes the failure of the attempt."""


class PerEvent:
    """One attempt a row, several rows at a time when concurrency allows.

    No two rows of a batch belong to one entity (claims sees to that), so threads cannot reorder.
    """

    def __init__(self, desk: Desk, attempt: Try, *, concurrency: int) -> None:
        self._desk = desk
        self._try = attempt
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
        try:
            return self._try(batch, row)
        except Exception as error:  # noqa: BLE001  every failure of an attempt has a reason
            return Attempt(failure=of_exception(error))
