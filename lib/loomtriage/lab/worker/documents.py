"""Documents: where the search worker finds what a row projects, and where it writes it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from opentelemetry import trace
from psycopg.rows import class_row

from loomtriage.lab.outbox.batch import Desk
from loomtriage.lab.outbox.claims import OutboxRow
from loomtriage.lab.outbox.settle import op_label
from loomtriage.lab.telemetry.trace_context import correlation_of
from loomtriage.lab.worker.es_client import ElasticClient, SourceRow

_SOURCE = """SELECT entity_type, entity_id, library_id, text, snippet, rank_score, created_at,
    updated_at, event_version FROM search_index WHERE entity_type = %s AND entity_id = %s"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """What both modes of the search projection read and write.

    Attributes:
        desk: what every projection works with.
        elastic: where documents go.
    """

    desk: Desk
    elastic: ElasticClient

    def source_of(self, row: OutboxRow) -> SourceRow | None:
        """The search row that an upsert projects, None when there is none."""
        with (
            self.desk.sessions.borrow() as connection,
            connection.cursor(row_factory=class_row(SourceRow)) as cursor,
        ):
            return cursor.execute(_SOURCE, (row.entity_type, row.entity_id)).fetchone()

    def report_missing(self, row: OutboxRow, *, batch_id: str) -> None:
        """Say why a row is acknowledged without a write: its search row is not there.

        Gone with a delete that follows is ordinary; gone without one is a finding.
        """
        is_overtaken = self.desk.claims.is_overtaken(row)
        name = "outbox.row_overtaken" if is_overtaken else "outbox.source_row_missing"
        trace.get_current_span().set_attribute(f"wordloom.{name.partition('.')[2]}", value=True)
        self.desk.log.emit(
            logging.INFO if is_overtaken else logging.WARNING,
            name,
            outbox_event_id=str(row.id),
            entity_type=row.entity_type,
            entity_id=str(row.entity_id),
            correlation_id=correlation_of(row.tracestate) or None,
            claim_batch_id=batch_id,
            op=op_label(row),
        )
