"""Which prometheus metrics a lab process exposes: the contract's, by id, in its own registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from loomtriage.contract.catalogue import BY_ID, Metric, MetricType

BULK_BUCKETS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

WORKER_METRICS = (
    "processed",
    "failed",
    "retry_scheduled",
    "terminal_failed",
    "idempotent_noop",
    "owner_mismatch",
    "reclaimed",
    "contention",
    "lag",
    "oldest_age",
    "inflight",
    "stuck",
    "dead_letter",
    "last_success",
    "trace_export_failures",
)
BULK_METRICS = (
    "bulk_requests",
    "bulk_failed_requests",
    "bulk_items",
    "bulk_item_failures",
    "bulk_duration",
)


class Meters:
    """The metrics of one process.

    Args:
        ids: catalogue ids of the metrics to expose.
        bound: labels that this process always gives the same value, such as the projection.
    """

    def __init__(self, ids: Iterable[str], *, bound: Mapping[str, str]) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._bound = bound
        self._metrics = {name: BY_ID[name] for name in ids}
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in self._metrics.values():
            self._add(metric)

    def _add(self, metric: Metric) -> None:
        names = (metric.name, f"{metric.says} ({metric.unit})", metric.labels)
        if metric.type is MetricType.COUNTER:
            self._counters[metric.id] = Counter(*names, registry=self.registry)
        elif metric.type is MetricType.GAUGE:
            self._gauges[metric.id] = Gauge(*names, registry=self.registry)
        else:
            self._histograms[metric.id] = Histogram(
                *names, registry=self.registry, buckets=BULK_BUCKETS_S
            )

    def add(self, metric: str, amount: float = 1.0, /, **labels: str) -> None:
        """Raise a counter; an amount of zero makes the series appear."""
        self._counters[metric].labels(**self._all(metric, labels)).inc(amount)

    def put(self, metric: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        self._gauges[metric].labels(**self._all(metric, labels)).set(value)

    def observe(self, metric: str, value: float, /, **labels: str) -> None:
        """Put one value into a histogram."""
        self._histograms[metric].labels(**self._all(metric, labels)).observe(value)

    def _all(self, metric: str, labels: Mapping[str, str]) -> dict[str, str]:
        wanted = self._metrics[metric].labels
        return {name: value for name, value in {**self._bound, **labels}.items() if name in wanted}


def warm_worker(meters: Meters, *, ops: Sequence[str] = ("upsert", "delete")) -> None:
    """Make the series appear that Wordloom's worker shows before anything happened.

    A real reason still appears from nothing: nobody can list what has not gone wrong yet.
    """
    for op in ops:
        meters.add("processed", 0, op=op)
        for metric in ("failed", "retry_scheduled", "terminal_failed"):
            meters.add(metric, 0, op=op, reason="none")
    if "delete" in ops:
        meters.add("idempotent_noop", 0, op="delete", reason="es_404")
    meters.add("contention", 0, reason="db_contention")
    for metric in ("owner_mismatch", "reclaimed", "trace_export_failures"):
        meters.add(metric, 0)
    for gauge in ("lag", "oldest_age", "inflight", "stuck", "dead_letter", "last_success"):
        meters.put(gauge, 0)


def warm_bulk(meters: Meters) -> None:
    """Make the series of bulk mode appear."""
    for result in ("success", "partial", "failed"):
        meters.add("bulk_requests", 0, result=result)
    meters.add("bulk_failed_requests", 0, reason="none")
    for op in ("index", "delete"):
        for result in ("success", "failed"):
            meters.add("bulk_items", 0, op=op, result=result)
        for failure_class in ("429", "4xx", "5xx", "unknown", "other"):
            meters.add("bulk_item_failures", 0, op=op, failure_class=failure_class)
