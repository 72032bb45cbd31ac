"""Events: which structured log lines the pipeline writes, and which fields each carries."""

from __future__ import annotations

from dataclasses import dataclass

WHO = ("env", "projection", "worker_id", "obs_schema")
"""Fields of every structured line of a worker."""
STARTUP = "tracing.startup"
TRACING_OFF = "tracing.disabled"
NO_COLLECTOR = ("tracing.exporter_unreachable", "tracing.export_failed")
WORKER_STATE = "worker.state"
UNCAUGHT = "uncaught_exception"
"""Given to a traceback with which a log ends; no process writes it."""
ROW_PREFIX = "outbox.row_"
API_ANSWERED = "http.response"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKind:
    """One kind of structured line.

    Attributes:
        event: value of the `event` field; one that ends in `_` stands for all it begins.
        needs: fields that must be present; a field that is null is not.
        traced: whether the line is written inside a span, so that it carries its ids.
        says: what the line tells.
    """

    event: str
    needs: tuple[str, ...]
    traced: bool = True
    says: str

    def covers(self, event: str) -> bool:
        """Whether a line with this event is of this kind."""
        return event.startswith(self.event) if self.event.endswith("_") else event == self.event


EVENTS: tuple[EventKind, ...] = (
    EventKind(
        event="outbox.claim_batch",
        needs=(*WHO, "claim_batch_id", "claimed"),
        says="a worker claimed rows",
    ),
    EventKind(
        event="projection.process_batch",
        needs=(*WHO, "claim_batch_id", "op", "attempt", "result", "reason", "batch_size"),
        says="one claimed batch was processed",
    ),
    EventKind(
        event=ROW_PREFIX,
        needs=(*WHO, "claim_batch_id", "outbox_event_id", "entity_id", "op"),
        says="one outbox row was settled, or lost, or had nothing to project",
    ),
    EventKind(
        event="outbox.reclaimed",
        needs=(*WHO, "reason"),
        traced=False,
        says="rows of expired claims went back to pending",
    ),
    EventKind(
        event=API_ANSWERED,
        needs=("env", "correlation_id"),
        says="the API answered a request",
    ),
)


def kind_of(event: str) -> EventKind | None:
    """The kind of a line by its event, None when the contract does not speak of it."""
    return next((kind for kind in EVENTS if kind.covers(event)), None)
