"""Taking: one claim of rows with its span and log line, and what an empty claim may hide."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode, Tracer, use_span

from loomtriage.contract.keys import Result
from loomtriage.contract.spans import CLAIM
from loomtriage.lab.outbox.batch import Batch, Held
from loomtriage.lab.outbox.claims import Claims, OutboxRow
from loomtriage.lab.outbox.failures import LOCKED, of_exception
from loomtriage.lab.telemetry.jsonlog import EventLog
from loomtriage.lab.telemetry.meters import Meters

STARVED_CHECK_S = 0.5


@dataclass(slots=True, kw_only=True)
class Taker:
    """Claims batches for one worker.

    An empty poll leaves no span: ten a second would bury the traces that matter. An empty claim
    while rows wait, twice in a row, means that another session keeps them locked.

    Attributes:
        size: most rows of a claim.
        broken_pause_s: pause inside a claim without lock, None for a sound claim.
        identity: attributes of every span.
    """

    claims: Claims
    held: Held
    meters: Meters
    log: EventLog
    tracer: Tracer
    identity: Mapping[str, str]
    size: int
    broken_pause_s: float | None = None
    _looked_at: float = field(default=0.0, init=False)
    _was_starved: bool = field(default=False, init=False)

    def take(self) -> Batch | None:
        """Claim a batch; None when there is nothing to do or the rows are locked."""
        batch_id = uuid.uuid4().hex
        started_ns = time.time_ns()
        try:
            rows = self._claim()
        except LOCKED as error:
            self._conflict(
                batch_id, started_ns, event="outbox.claim_refused", error=of_exception(error).error
            )
            return None
        if rows:
            self._was_starved = False
            self.held.take(rows)
            self._tell(batch_id, started_ns, claimed=len(rows))
            return Batch(id=batch_id, rows=tuple(rows))
        facts = self._facts(batch_id, claimed=0)
        self.log.bind(**facts).emit(logging.DEBUG, "outbox.claim_batch")
        self._look_for_locks(batch_id, started_ns)
        return None

    @property
    def _mode(self) -> str:
        return "atomic" if self.broken_pause_s is None else "non_atomic"

    def _claim(self) -> list[OutboxRow]:
        pause_s = self.broken_pause_s
        if pause_s is None:
            return self.claims.claim(self.size)
        return self.claims.claim_broken(self.size, pause=lambda: time.sleep(pause_s))

    def _look_for_locks(self, batch_id: str, started_ns: int) -> None:
        if time.monotonic() - self._looked_at < STARVED_CHECK_S:
            return
        self._looked_at = time.monotonic()
        waiting = self.claims.waiting()
        if waiting and self._was_starved:
            error = f"{waiting} rows wait, all of them locked by another session"
            self._conflict(batch_id, started_ns, event="outbox.claim_starved", error=error)
        self._was_starved = waiting > 0

    def _conflict(self, batch_id: str, started_ns: int, *, event: str, error: str) -> None:
        self.meters.add("contention", reason="db_contention")
        facts = self._facts(batch_id, claimed=0)
        span = self._span(batch_id, started_ns, claimed=0)
        span.set_attribute("result", Result.RETRY.value)
        span.set_attribute("reason", "db_contention")
        span.set_status(Status(StatusCode.ERROR, error))
        with use_span(span, end_on_exit=True):
            self.log.bind(**facts).emit(
                logging.WARNING, event, result=Result.RETRY, reason="db_contention", error=error
            )

    def _tell(self, batch_id: str, started_ns: int, *, claimed: int) -> None:
        with use_span(self._span(batch_id, started_ns, claimed=claimed), end_on_exit=True):
            facts = self._facts(batch_id, claimed=claimed)
            self.log.bind(**facts).emit(logging.INFO, "outbox.claim_batch")

    def _span(self, batch_id: str, started_ns: int, *, claimed: int) -> Span:
        attributes: dict[str, str | int] = {
            **self.identity,
            "wordloom.claim_batch_id": batch_id,
            "batch_size": self.size,
            "claimed": claimed,
            "claim_mode": self._mode,
        }
        return self.tracer.start_span(
            CLAIM, context=Context(), start_time=started_ns, attributes=attributes
        )

    def _facts(self, batch_id: str, *, claimed: int) -> dict[str, str | int]:
        return {
            "claim_batch_id": batch_id,
            "batch_size": self.size,
            "claimed": claimed,
            "claim_mode": self._mode,
        }
