"""Tracing: how a lab process sends its traces, and says so when nobody takes them."""

from __future__ import annotations

import importlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from loomtriage.lab.telemetry.jsonlog import EventLog, one_line, redact

BATCH_DELAY_MS = 200
EXPORT_TIMEOUT_S = 2.0
"""Short, since the SDK retries within it and no span leaves meanwhile."""
PROBE_TIMEOUT_S = 0.25
REPORT_EVERY_S = 10.0

_GRPC_EXPORTER = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"
_OFF = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingPlan:
    """What the environment says about tracing.

    Attributes:
        is_enabled: whether spans are made at all.
        service: service.name.
        protocol: `grpc` or `http/protobuf`.
        raw: the endpoint as written, empty when none is.
        endpoint: where spans go, signal path included, empty when nowhere.
        sampler: name of the sampler, and its argument.
    """

    is_enabled: bool
    service: str
    protocol: str
    raw: str
    endpoint: str
    sampler: str
    sampler_arg: str


def plan_tracing(env: Mapping[str, str], *, service: str) -> TracingPlan:
    """Read `OTEL_*` and WORDLOOM_TRACING_ENABLED.

    Tracing is on unless it is switched off: an opt-in is what left Wordloom's incidents blind.
    """
    traces = env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()
    raw = traces or env.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    protocol = env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or env.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", ""
    )
    if not protocol:
        protocol = "grpc" if raw.rstrip("/").endswith(":4317") else "http/protobuf"
    endpoint = raw
    if raw and not traces and protocol != "grpc":
        endpoint = f"{raw.rstrip('/')}/v1/traces"
    is_off = env.get("WORDLOOM_TRACING_ENABLED", "").strip().lower() in _OFF
    return TracingPlan(
        is_enabled=not is_off and env.get("OTEL_SDK_DISABLED", "").strip().lower() != "true",
        service=env.get("OTEL_SERVICE_NAME") or service,
        protocol=protocol,
        raw=raw,
        endpoint=endpoint,
        sampler=env.get("OTEL_TRACES_SAMPLER") or "parentbased_always_on",
        sampler_arg=env.get("OTEL_TRACES_SAMPLER_ARG", ""),
    )


def start_tracing(
    plan: TracingPlan,
    *,
    resource: Mapping[str, str],
    log: EventLog,
    count_loss: Callable[[], None],
) -> TracerProvider:
    """A tracer provider that exports as planned; the caller shuts it down.

    A collector that is down now does not matter: the exporter is attached all the same and tries
    every batch anew. With tracing off the provider makes no spans.

    Args:
        resource: attributes beside service.name, such as wordloom.env.
        count_loss: called once for every batch of spans that was not taken.
    """
    if not plan.is_enabled:
        reason = "OTEL_SDK_DISABLED or WORDLOOM_TRACING_ENABLED says so"
        log.emit(logging.INFO, "tracing.disabled", enabled=False, reason=reason)
        log.emit(logging.INFO, "tracing.startup", enabled=False, reason=reason)
        return _silent_provider()
    provider = TracerProvider(
        resource=Resource.create({**resource, "service.name": plan.service}),
        shutdown_on_exit=False,
    )
    reachable = is_reachable(plan.endpoint)
    exporter, why = _exporter(plan)
    if exporter is not None:
        watched = WatchedExporter(exporter, log=log, count_loss=count_loss)
        provider.add_span_processor(
            BatchSpanProcessor(watched, schedule_delay_millis=BATCH_DELAY_MS)
        )
    _announce(plan, log=log, reachable=reachable, exporter_reason=why)
    return provider


def _announce(plan: TracingPlan, *, log: EventLog, reachable: bool, exporter_reason: str) -> None:
    log.emit(
        logging.INFO,
        "tracing.startup",
        enabled=True,
        otel_service_name=plan.service,
        otlp_protocol=plan.protocol,
        otlp_target=redact(plan.endpoint),
        otlp_target_raw=redact(plan.raw),
        collector_reachable=reachable,
        exporter_configured=exporter_reason == "configured",
        exporter_reason=exporter_reason,
        sampler=plan.sampler,
        sampler_arg=plan.sampler_arg,
    )
    if plan.endpoint and not reachable:
        log.emit(
            logging.WARNING,
            "tracing.exporter_unreachable",
            enabled=True,
            otlp_protocol=plan.protocol,
            otlp_target=redact(plan.endpoint),
            hint="Start the trace collector; spans until then are lost, later ones are sent.",
        )


def _silent_provider() -> TracerProvider:
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    return TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)


def _exporter(plan: TracingPlan) -> tuple[SpanExporter | None, str]:
    if not plan.endpoint:
        return None, "no_otlp_target"
    if plan.protocol == "grpc":
        try:
            module = importlib.import_module(_GRPC_EXPORTER)
        except ImportError:
            return None, "grpc_exporter_not_installed"
        exporter: SpanExporter = module.OTLPSpanExporter(
            endpoint=plan.endpoint, insecure=True, timeout=EXPORT_TIMEOUT_S
        )
        return exporter, "configured"
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=plan.endpoint, timeout=EXPORT_TIMEOUT_S), "configured"


def is_reachable(endpoint: str) -> bool:
    """Whether somebody listens at an OTLP endpoint right now."""
    try:
        parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), timeout=PROBE_TIMEOUT_S):
            return True
    except (OSError, ValueError):
        return False


class WatchedExporter(SpanExporter):
    """Passes spans on and makes every loss visible: counted, and logged now and then."""

    def __init__(
        self, inner: SpanExporter, *, log: EventLog, count_loss: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._log = log
        self._count_loss = count_loss
        self._guard = threading.Lock()
        self._lost_spans = 0
        self._reported_at: float | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send one batch; never raises."""
        trouble: Exception | None = None
        try:
            result = self._inner.export(spans)
        except Exception as error:  # noqa: BLE001  whatever an exporter throws, the batch is lost
            result, trouble = SpanExportResult.FAILURE, error
        if result is SpanExportResult.SUCCESS:
            self._recovered()
        else:
            self._count_loss()
            self._lost(len(spans), trouble)
        return result

    def _lost(self, count: int, trouble: Exception | None) -> None:
        with self._guard:
            self._lost_spans += count
            now = time.monotonic()
            if self._reported_at is not None and now - self._reported_at < REPORT_EVERY_S:
                return
            self._reported_at = now
            lost = self._lost_spans
        self._log.emit(
            logging.WARNING,
            "tracing.export_failed",
            lost_spans=lost,
            error="" if trouble is None else one_line(trouble),
        )

    def _recovered(self) -> None:
        with self._guard:
            lost, self._lost_spans, self._reported_at = self._lost_spans, 0, None
        if lost:
            self._log.emit(logging.INFO, "tracing.export_recovered", lost_spans=lost)

    def shutdown(self) -> None:
        """Close the exporter."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter."""
        return self._inner.force_flush(timeout_millis)
