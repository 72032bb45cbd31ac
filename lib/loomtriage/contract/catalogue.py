"""Catalogue: the one list of metrics and queries, with unit, meaning and threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class MetricType(StrEnum):
    """Prometheus metric types that the contract uses."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A number with its unit and where it came from."""

    value: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric of the contract.

    Attributes:
        id: short name used in code, drills and notebooks.
        name: name on the wire.
        type: counter, gauge or histogram.
        unit: of one sample.
        labels: labels that the worker itself puts on it.
        result: the `result` that an increase of this counter means, empty if none.
        worse: +1 when more is worse, -1 when less is worse, 0 when neither.
        floor: smallest spread that counts as a change of a gauge, in its unit.
        threshold: bound that a finding compares with.
        says: meaning, one sentence.
    """

    id: str
    name: str
    type: MetricType
    unit: str
    labels: tuple[str, ...]
    result: str = ""
    worse: int = 0
    floor: float = 0.0
    threshold: Threshold | None = None
    says: str


_P, _PO, _POR = ("projection",), ("projection", "op"), ("projection", "op", "reason")
_C, _G, _H = MetricType.COUNTER, MetricType.GAUGE, MetricType.HISTOGRAM

METRICS: tuple[Metric, ...] = (
    Metric(
        id="produced",
        name="outbox_produced_total",
        type=_C,
        unit="rows",
        labels=("event_type", "entity_type"),
        says="rows the API put into the outbox",
    ),
    Metric(
        id="processed",
        name="outbox_processed_total",
        type=_C,
        unit="rows",
        labels=_PO,
        result="ok",
        worse=-1,
        says="rows that the projection finished",
    ),
    Metric(
        id="failed",
        name="outbox_failed_total",
        type=_C,
        unit="attempts",
        labels=_POR,
        worse=+1,
        says="attempts that failed, retried or not",
    ),
    Metric(
        id="retry_scheduled",
        name="outbox_retry_scheduled_total",
        type=_C,
        unit="attempts",
        labels=_POR,
        result="retry",
        worse=+1,
        says="failed attempts that went back to pending",
    ),
    Metric(
        id="terminal_failed",
        name="outbox_terminal_failed_total",
        type=_C,
        unit="rows",
        labels=_POR,
        result="failed",
        worse=+1,
        says="rows that failed for good",
    ),
    Metric(
        id="idempotent_noop",
        name="outbox_idempotent_noop_total",
        type=_C,
        unit="rows",
        labels=_POR,
        says="deletes of documents that were gone already",
    ),
    Metric(
        id="owner_mismatch",
        name="outbox_owner_mismatch_skips_total",
        type=_C,
        unit="rows",
        labels=_P,
        worse=+1,
        says="claimed rows that another worker had taken",
    ),
    Metric(
        id="reclaimed",
        name="outbox_reclaimed_total",
        type=_C,
        unit="rows",
        labels=_P,
        worse=+1,
        says="rows of expired claims returned to pending",
    ),
    Metric(
        id="lag",
        name="outbox_lag_events",
        type=_G,
        unit="rows",
        labels=_P,
        worse=+1,
        floor=3.0,
        says="rows not yet done",
    ),
    Metric(
        id="oldest_age",
        name="outbox_oldest_age_seconds",
        type=_G,
        unit="s",
        labels=_P,
        worse=+1,
        floor=2.0,
        threshold=Threshold(value=300.0, unit="s", source="Wordloom runbook run-001, 8.3"),
        says="seconds since the oldest row not yet done was created",
    ),
    Metric(
        id="inflight",
        name="outbox_inflight_events",
        type=_G,
        unit="rows",
        labels=_P,
        floor=3.0,
        says="rows claimed by some worker",
    ),
    Metric(
        id="stuck",
        name="outbox_stuck_processing_events",
        type=_G,
        unit="rows",
        labels=_P,
        worse=+1,
        floor=1.0,
        says="claimed rows whose lease ran out",
    ),
    Metric(
        id="last_success",
        name="outbox_last_success_timestamp_seconds",
        type=_G,
        unit="unix s",
        labels=_P,
        says="when a row was last finished",
    ),
    Metric(
        id="bulk_requests",
        name="outbox_es_bulk_requests_total",
        type=_C,
        unit="requests",
        labels=("projection", "result"),
        says="bulk requests by how they ended",
    ),
    Metric(
        id="bulk_failed_requests",
        name="outbox_es_bulk_failed_requests_total",
        type=_C,
        unit="requests",
        labels=("projection", "reason"),
        worse=+1,
        says="bulk requests that failed whole or in part, by reason",
    ),
    Metric(
        id="bulk_items",
        name="outbox_es_bulk_items_total",
        type=_C,
        unit="items",
        labels=("projection", "op", "result"),
        says="bulk items by how they ended",
    ),
    Metric(
        id="bulk_item_failures",
        name="outbox_es_bulk_item_failures_total",
        type=_C,
        unit="items",
        labels=("projection", "op", "failure_class"),
        worse=+1,
        says="failed bulk items by class",
    ),
    Metric(
        id="bulk_duration",
        name="outbox_es_bulk_request_duration_seconds",
        type=_H,
        unit="s",
        labels=_P,
        says="how long bulk requests take",
    ),
    Metric(
        id="dead_letter",
        name="outbox_dead_letter_events",
        type=_G,
        unit="rows",
        labels=_P,
        worse=+1,
        floor=1.0,
        says="rows that failed for good and were not replayed",
    ),
    Metric(
        id="contention",
        name="outbox_db_contention_total",
        type=_C,
        unit="refusals",
        labels=("projection", "reason"),
        worse=+1,
        says="claims and acknowledgements that found their rows locked by another session",
    ),
    Metric(
        id="trace_export_failures",
        name="outbox_trace_export_failures_total",
        type=_C,
        unit="exports",
        labels=_P,
        worse=+1,
        says="batches of spans that the trace collector did not take",
    ),
    Metric(
        id="up",
        name="up",
        type=_G,
        unit="0 or 1",
        labels=(),
        worse=-1,
        floor=0.5,
        says="whether Prometheus could scrape the target",
    ),
)

BY_ID: Mapping[str, Metric] = MappingProxyType({metric.id: metric for metric in METRICS})
BY_WIRE: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in METRICS})

JOBS: Mapping[str, str] = MappingProxyType(
    {
        "wordloom-api": "api",
        "wordloom-worker": "worker",
        "wordloom-chronicle": "worker",
    }
)
"""Prometheus job -> component. Targets carry `env` and `component` as static labels."""
