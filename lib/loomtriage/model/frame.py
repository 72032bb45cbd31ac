"""Frame: a checked DataFrame plus its origin and caveats."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

import pandas as pd

from loomtriage.errors import ContractBroken
from loomtriage.model.window import Window

METRIC_LEVELS = ("metric", "instance", "env", "projection", "op", "reason", "result", "extra")
SPAN_COLUMNS = (
    "trace_id",
    "span_id",
    "parent_id",
    "service",
    "operation",
    "kind",
    "start",
    "duration_s",
    "error",
    "status_message",
    "attributes",
)
LINE_COLUMNS = (
    "ts",
    "level",
    "logger",
    "event",
    "message",
    "trace_id",
    "span_id",
    "fields",
    "file",
    "line",
    "sha256",
)
ROW_COLUMNS = (
    "projection",
    "id",
    "entity_type",
    "entity_id",
    "op",
    "status",
    "attempts",
    "reason",
    "error",
    "owner",
    "created_at",
    "updated_at",
    "next_retry_at",
    "lease_until",
    "processed_at",
    "trace_id",
    "correlation_id",
    "replay_count",
)
TARGET_COLUMNS = ("job", "instance", "url", "health", "last_error", "last_scrape", "labels")
EXEMPLAR_COLUMNS = ("ts", "metric", "labels", "trace_id", "value")
ALERT_COLUMNS = ("alert", "labels", "pending_at", "firing_at", "last_at")


class Kind(StrEnum):
    """The shapes a frame can have: one a signal, and what a metrics server knows besides."""

    METRICS = "metrics"
    SPANS = "spans"
    LINES = "lines"
    ROWS = "rows"
    TARGETS = "targets"
    EXEMPLARS = "exemplars"
    ALERTS = "alerts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a frame came from.

    Attributes:
        source: name of the source (`prometheus`, `traces`, `logs`, `outbox`).
        query: the question as it was asked.
        window: the window asked for.
        fetched_at: when the answer came (aware UTC); the recorded time when played back.
        sha256: hash of the raw answer.
    """

    source: str
    query: str
    window: Window
    fetched_at: datetime | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A checked table.

    METRICS: wide float64, aware-UTC DatetimeIndex, columns a MultiIndex over `METRIC_LEVELS`
    (raw values, never rates; absent label = empty text; `extra` holds the other labels as
    sorted `key=value` pairs joined by commas). All others: long tables with
    exactly the columns named in this module; times are aware UTC, durations seconds,
    `attributes`, `fields` and `labels` are dicts.

    Attributes:
        missing: empty when the source answered; else why there is no data, one word
            (`not_configured`, `refused`, `auth`, `timeout`, `http_503` and other statuses,
            `truncated`, `too_large`, `wrong_content`, `empty`, `damaged`, `not_recorded`,
            `not_supported`).
        caveats: stated limits (truncated, partial, skipped bytes), one sentence each.

    Raises:
        ContractBroken: the table has another shape.
    """

    kind: Kind
    data: pd.DataFrame
    origin: Origin
    caveats: tuple[str, ...] = ()
    missing: str = ""
    hint: str = field(default="")

    def __post_init__(self) -> None:
        if self.kind is Kind.METRICS:
            good = tuple(self.data.columns.names) == METRIC_LEVELS
            if good and len(self.data):
                index = self.data.index
                good = isinstance(index, pd.DatetimeIndex) and str(index.tz) == "UTC"
        else:
            good = tuple(self.data.columns) == COLUMNS[self.kind]
        if not good:
            raise ContractBroken(
                f"A {self.kind} frame from {self.origin.source} has columns "
                f"{list(self.data.columns)[:6]}.",
                hint="Build it with the column list of loomtriage.model.frame.",
            )

    @classmethod
    def empty(cls, kind: Kind, origin: Origin, *, missing: str, hint: str = "") -> Frame:
        """The only "nothing": a frame without rows that says why, and what would change that."""
        if kind is Kind.METRICS:
            columns = pd.MultiIndex.from_arrays([[]] * len(METRIC_LEVELS), names=METRIC_LEVELS)
            data = pd.DataFrame(
                columns=columns, index=pd.DatetimeIndex([], tz="UTC"), dtype="float64"
            )
        else:
            data = pd.DataFrame({name: pd.Series(dtype="object") for name in COLUMNS[kind]})
        return cls(kind=kind, data=data, origin=origin, missing=missing, hint=hint)

    def with_caveat(self, sentence: str) -> Frame:
        """The same frame with one more stated limit."""
        return replace(self, caveats=(*self.caveats, sentence))

    def __len__(self) -> int:
        return len(self.data)

    def _repr_html_(self) -> str:
        from html import escape  # only a displayed frame pays for it

        head = escape(
            f"{self.kind} from {self.origin.source}: {len(self.data)} rows, {self.origin.window}"
        )
        notes = "".join(
            f"<li>{escape(text)}</li>" for text in (*self.caveats, self.missing) if text
        )
        return f"<p>{head}</p><ul>{notes}</ul>{self.data.head(20).to_html(max_cols=8)}"


COLUMNS: dict[Kind, tuple[str, ...]] = {
    Kind.SPANS: SPAN_COLUMNS,
    Kind.LINES: LINE_COLUMNS,
    Kind.ROWS: ROW_COLUMNS,
    Kind.TARGETS: TARGET_COLUMNS,
    Kind.EXEMPLARS: EXEMPLAR_COLUMNS,
    Kind.ALERTS: ALERT_COLUMNS,
}
