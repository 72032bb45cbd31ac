"""Batch: what a worker claimed at once, and how spans and log tell what became of it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.trace import Status, StatusCode, Tracer

from loomtriage.contract.keys import Result
from loomtriage.contract.spans import BATCH, OBS_SCHEMA, ROW
from loomtriage.lab.db_sessions import Sessions
from loomtriage.lab.outbox.claims import Claims, OutboxRow
from loomtriage.lab.outbox.failures import of_exception, single, summarise
from loomtriage.lab.outbox.settle import Settled, Settler, mark_span, op_label
from loomtriage.lab.telemetry.jsonlog import EventLog
from loomtriage.lab.telemetry.trace_context import correlation_of, link_of, parent_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of one claim, oldest first; never empty."""

    id: str
    rows: tuple[OutboxRow, ...]

    def shared_parent(self) -> Context | None:
        """The API's trace when the whole batch comes from one request, else None."""
        first = self.rows[0]
        if any(row.traceparent != first.traceparent for row in self.rows):
            return None
        return parent_of(first.traceparent, tracestate=first.tracestate)


class Held:
    """Ids of the rows that this worker holds now; safe to read from the lease renewer."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._ids: set[UUID] = set()

    def take(self, rows: Sequence[OutboxRow]) -> None:
        """Remember rows just claimed."""
        with self._guard:
            self._ids.update(row.id for row in rows)

    def drop(self, rows: Sequence[OutboxRow]) -> None:
        """Forget rows that were settled, released or given up."""
        with self._guard:
            self._ids.difference_update(row.id for row in rows)

    def ids(self) -> list[UUID]:
        """A copy of what is held."""
        with self._guard:
            return sorted(self._ids)


def identity_of(*, projection: str, env: str, worker_id: str) -> dict[str, str]:
    """The attributes that every span of a worker carries."""
    return {
        "wordloom.env": env,
        "wordloom.projection": projection,
        "wordloom.worker_id": worker_id,
        "wordloom.obs_schema": OBS_SCHEMA,
    }


def correlation_attribute(row: OutboxRow) -> dict[str, str]:
    """The row's correlation id as a span attribute, nothing when the row carries none."""
    found = correlation_of(row.tracestate)
    return {"wordloom.correlation_id": found} if found else {}


def facts_of(batch: Batch, *, mode: str) -> dict[str, str | int]:
    """What is known about a batch before it is processed; `attempt` is the highest of its rows."""
    rows = batch.rows
    return {
        "op": single([op_label(row) for row in rows]),
        "entity_type": single([row.entity_type for row in rows]),
        "attempt": max(row.attempts for row in rows) + 1,
        "batch_size": len(rows),
        "mode": mode,
    }


def result_of(
    settled: Sequence[Settled], *, partial: Result | None, is_broken: bool
) -> dict[str, str | int]:
    """Result, reason and counts of a batch.

    Args:
        partial: what to call a batch of which some rows succeeded and others did not.
        is_broken: whether an exception cut the batch short.
    """
    summary = summarise([(row.result, row.reason) for row in settled], partial=partial)
    return {
        "result": (Result.FAILED if is_broken else summary.result).value,
        "reason": "unknown" if is_broken else summary.reason,
        "ok_count": summary.ok_count,
        "retry_count": summary.retry_count,
        "failed_count": summary.failed_count,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a projection works with, whatever it projects.

    Attributes:
        identity: attributes of every span: those of `identity_of`, and the projection's own.
        held: rows whose lease is being renewed.
        stop: set when the worker should begin no further row.
    """

    sessions: Sessions
    claims: Claims
    settler: Settler
    tracer: Tracer
    log: EventLog
    identity: Mapping[str, str]
    held: Held
    stop: threading.Event

    @contextlib.contextmanager
    def batch_span(
        self, batch: Batch, *, mode: str, partial: Result | None
    ) -> Iterator[list[Settled]]:
        """The span of a batch; what is put into the yielded list sums up to its result.

        Whatever happens inside, no row of the batch is held afterwards: one that was not settled
        comes back when its lease ends.
        """
        settled: list[Settled] = []
        started = time.monotonic()
        facts = facts_of(batch, mode=mode)
        ids = {"wordloom.claim_batch_id": batch.id}
        with self.tracer.start_as_current_span(
            BATCH,
            context=batch.shared_parent() or Context(),
            attributes={**self.identity, **ids, **facts},
        ) as span:
            is_broken = True
            try:
                yield settled
                is_broken = False
            finally:
                self.held.drop(batch.rows)
                # Before the span ends: the SDK throws away what is set later.
                end = result_of(settled, partial=partial, is_broken=is_broken)
                span.set_attributes(end)
                if end["result"] != Result.OK and not is_broken:
                    span.set_status(Status(StatusCode.ERROR, str(end["reason"])))
                self.log.bind(claim_batch_id=batch.id, **facts, **end).emit(
                    logging.INFO,
                    "projection.process_batch",
                    duration_ms=round((time.monotonic() - started) * 1000, 1),
                )

    @contextlib.contextmanager
    def row_span(self, batch: Batch, row: OutboxRow, *, parent: Context) -> Iterator[None]:
        """The span of one row, linked to the API's trace unless it already hangs under it."""
        remote = parent_of(row.traceparent, tracestate=row.tracestate)
        with self.tracer.start_as_current_span(
            ROW,
            context=parent,
            links=() if batch.shared_parent() else link_of(remote),
            attributes={
                **self.identity,
                "wordloom.claim_batch_id": batch.id,
                "wordloom.outbox_event_id": str(row.id),
                "wordloom.entity_type": row.entity_type,
                "wordloom.entity_id": str(row.entity_id),
                "wordloom.outbox_event_version": row.event_version,
                **correlation_attribute(row),
                "op": op_label(row),
                "attempt": row.attempts + 1,
            },
        ):
            try:
                yield
            except Exception as error:
                # The database failed while the row was being settled: its lease will end.
                reason = of_exception(error).reason
                mark_span(Settled(result=Result.RETRY, reason=reason), status=None, failure=None)
                raise
