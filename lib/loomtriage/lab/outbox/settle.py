"""Settling: what becomes of a row after an attempt, told alike by metric, span and log line.

Nothing is counted before the guarded statement has hit the row: a row that was lost meanwhile is
its new owner's to count.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from loomtriage.contract.keys import Result
from loomtriage.lab.outbox.backoff import RetryPolicy, decide
from loomtriage.lab.outbox.claims import Claims, OutboxRow, Standing
from loomtriage.lab.outbox.failures import LOCKED, Failure, of_exception
from loomtriage.lab.telemetry.jsonlog import EventLog
from loomtriage.lab.telemetry.meters import Meters
from loomtriage.lab.telemetry.trace_context import correlation_of

KNOWN_OPS = frozenset({"upsert", "delete"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one try at a row did.

    Attributes:
        failure: why it did not succeed, None when it did.
        status: HTTP status, None without an answer.
        noop: reason for which success changed nothing, empty when it changed something.
    """

    failure: Failure | None = None
    status: int | None = None
    noop: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """How a row ended this time; the unit that a batch is summed up from."""

    result: Result
    reason: str


def op_label(row: OutboxRow) -> str:
    """The row's op where it is one that exists, else `unknown`: labels stay few."""
    return row.op if row.op in KNOWN_OPS else "unknown"


def unknown_op(row: OutboxRow) -> Attempt:
    """The attempt at a row whose op does not exist."""
    return Attempt(failure=Failure(reason="unknown_op", error=f"unknown_op: {row.op[:20]!r}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settler:
    """Writes the end of an attempt to the database, then to all three signals.

    Attributes:
        log: bound to env, projection and worker id.
        draw: a random number in [0, 1) for the jitter.
        now: unix seconds, for the time of the last success.
    """

    claims: Claims
    meters: Meters
    log: EventLog
    policy: RetryPolicy
    draw: Callable[[], float]
    now: Callable[[], float]

    def settle(self, row: OutboxRow, attempt: Attempt, *, batch_id: str) -> Settled:
        """Settle a row under the current span, which is the row's own."""
        log = self._log_of(row, attempt, batch_id=batch_id)
        try:
            if attempt.failure is None:
                settled = self._finish(row, attempt, log=log)
            else:
                settled = self._fail(row, attempt.failure, log=log)
        except LOCKED as error:
            # The row stays claimed until its lease ends; reclaim gives it its next try.
            self.meters.add("contention", reason="db_contention")
            settled = self._lose(of_exception(error), log=log)
        mark_span(settled, status=attempt.status, failure=attempt.failure)
        return settled

    def lost(self, row: OutboxRow, standing: Standing, *, batch_id: str) -> Settled:
        """Let go of a row that is not this worker's any more, before or after an attempt."""
        log = self._log_of(row, Attempt(), batch_id=batch_id)
        settled = self._let_go(standing, log=log)
        mark_span(settled, status=None, failure=None)
        return settled

    def _log_of(self, row: OutboxRow, attempt: Attempt, *, batch_id: str) -> EventLog:
        return self.log.bind(
            op=op_label(row),
            attempt=row.attempts + 1,
            outbox_event_id=str(row.id),
            entity_type=row.entity_type,
            entity_id=str(row.entity_id),
            correlation_id=correlation_of(row.tracestate) or None,
            claim_batch_id=batch_id,
            http_status=attempt.status,
        )

    def _finish(self, row: OutboxRow, attempt: Attempt, *, log: EventLog) -> Settled:
        if not self.claims.done(row.id):
            return self._let_go(self.claims.standing(row.id), log=log)
        self.meters.add("processed", op=op_label(row))
        if attempt.noop:
            self.meters.add("idempotent_noop", op=op_label(row), reason=attempt.noop)
            span = trace.get_current_span()
            span.set_attribute("wordloom.idempotent_noop", value=True)
            span.set_attribute("wordloom.idempotent_noop_reason", attempt.noop)
        self.meters.put("last_success", self.now())
        log.emit(
            logging.INFO,
            "outbox.row_done",
            result=Result.OK,
            reason="none",
            noop=attempt.noop or None,
        )
        return Settled(result=Result.OK, reason="none")

    def _fail(self, row: OutboxRow, failure: Failure, *, log: EventLog) -> Settled:
        decision = decide(failure.reason, attempts=row.attempts, policy=self.policy, draw=self.draw)
        log = log.bind(result=decision.result, reason=failure.reason, error=failure.error)
        if decision.delay_s is None:
            if not self.claims.fail(
                row.id, attempts=decision.attempts, reason=failure.reason, error=failure.error
            ):
                return self._let_go(self.claims.standing(row.id), log=log)
            self._count("terminal_failed", row, failure)
            log.emit(logging.ERROR, "outbox.row_failed", trouble=failure.trouble)
        else:
            retry_at = self.claims.retry(
                row.id,
                attempts=decision.attempts,
                delay_s=decision.delay_s,
                reason=failure.reason,
                error=failure.error,
            )
            if retry_at is None:
                return self._let_go(self.claims.standing(row.id), log=log)
            self._count("retry_scheduled", row, failure)
            log.emit(
                logging.WARNING,
                "outbox.row_retry",
                next_retry_at=retry_at,
                backoff_s=round(decision.delay_s, 3),
            )
        return Settled(result=decision.result, reason=failure.reason)

    def _count(self, metric: str, row: OutboxRow, failure: Failure) -> None:
        for name in ("failed", metric):
            self.meters.add(name, op=op_label(row), reason=failure.reason)

    def _let_go(self, standing: Standing, *, log: EventLog) -> Settled:
        reason = "db_contention" if standing is Standing.TAKEN else "lease_expired"
        if standing is Standing.TAKEN:
            self.meters.add("owner_mismatch")
        return self._lose(
            Failure(reason=reason, error=f"the row is {standing} by the time of writing"), log=log
        )

    def _lose(self, failure: Failure, *, log: EventLog) -> Settled:
        settled = Settled(result=Result.RETRY, reason=failure.reason)
        log.emit(
            logging.WARNING,
            "outbox.row_lost",
            result=settled.result,
            reason=settled.reason,
            error=failure.error,
        )
        return settled


def mark_span(settled: Settled, *, status: int | None, failure: Failure | None) -> None:
    """Put a row's end on the current span, error status included."""
    span = trace.get_current_span()
    span.set_attribute("result", settled.result.value)
    span.set_attribute("reason", settled.reason)
    if status is not None:
        span.set_attribute("http.status_code", status)
    if settled.result is not Result.OK:
        text = settled.reason if failure is None else failure.error
        span.set_status(Status(StatusCode.ERROR, text))
    if failure is not None and failure.trouble is not None:
        span.record_exception(failure.trouble)
