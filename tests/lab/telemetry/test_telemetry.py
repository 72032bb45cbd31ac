"""Logs, traces and metrics of the lab's processes: contract names, no secrets, no silent loss."""

from __future__ import annotations

import json
import logging

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from loomtriage.contract.catalogue import BY_WIRE
from loomtriage.lab.telemetry.jsonlog import EventLog, JsonLines, one_line, redact
from loomtriage.lab.telemetry.meters import (
    BULK_METRICS,
    WORKER_METRICS,
    Meters,
    warm_bulk,
    warm_worker,
)
from loomtriage.lab.telemetry.tracing import WatchedExporter, plan_tracing, start_tracing
from loomtriage.lab.worker.settings import read_settings
from tests.lab.pipeline import Lines
from tests.lab.services import free_ports, until

OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT"
DSN = "postgresql+psycopg://lab:hunter2@127.0.0.1:5435/wordloom"


@pytest.fixture
def lines():
    return Lines()


@pytest.fixture
def log(lines):
    logger = logging.Logger("test")  # noqa: LOG001
    logger.addHandler(lines)
    return EventLog(logger=logger, bound={"env": "sandbox"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"cannot reach {DSN}",
            "cannot reach postgresql+psycopg://lab:***@127.0.0.1:5435/wordloom",
        ),
        ("host=h password=hunter2 user=u", "host=h password=*** user=u"),
        ("password='it''s' x", "password=***'s' x"),
        ("https://u:p@h/?q=1", "https://u:***@h/?q=1"),
        ("http://127.0.0.1:9200/a@b", "http://127.0.0.1:9200/a@b"),
        ("nothing secret", "nothing secret"),
    ],
)
def test_passwords_are_cut_out(text, expected):
    """Passwords of URLs and DSNs never get as far as a log line; ports are no passwords."""
    assert redact(text) == expected


def test_no_field_of_a_line_betrays_a_password(log, lines):
    """Message, fields, lists and tracebacks are all redacted."""
    log.emit(logging.ERROR, "x", where=DSN, several=[DSN], trouble=ValueError(DSN))
    log.logger.warning("free text %s", DSN)
    assert "hunter2" not in json.dumps(lines.lines)
    assert "ValueError" in lines.lines[0]["exc_info"]


def test_line_is_one_line_whatever_is_in_it(log, lines):
    """Line breaks, lone surrogates and foreign objects stay inside one JSON line."""
    log.emit(logging.INFO, "x", text="a\nb\u2028\ud800", thing=object(), nothing=None)
    record = logging.makeLogRecord({"msg": "a\nb", "fields": {"text": "\ud800"}})
    assert "\n" not in JsonLines().format(record)
    assert lines.lines[0]["text"].startswith("a\nb")
    assert lines.lines[0]["nothing"] is None


def test_fields_cannot_pose_as_the_base(log, lines):
    """A field named like a base key does not replace it."""
    log.emit(logging.INFO, "real", ts="1970", level="x", trace_id="forged")
    (line,) = lines.lines
    assert (line["event"], line["level"], "trace_id" in line) == ("real", "INFO", False)
    assert line["ts"].endswith("+00:00")


def test_lines_carry_the_current_span(log, lines):
    """Inside a span every line of the process, free text too, has trace and span id."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    with tracer.start_as_current_span("s") as span:
        log.emit(logging.INFO, "inside")
        log.logger.info("free text")
    log.emit(logging.INFO, "outside")
    expected = (f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}")
    inside = [(line["trace_id"], line["span_id"]) for line in lines.lines[:2]]
    assert inside == [expected, expected]
    assert "trace_id" not in lines.lines[2]


def test_one_line_takes_the_first(log):
    """Httpx's second line points to a web page and is left out."""
    assert one_line(RuntimeError("403\nFor more information check: x")) == "RuntimeError: 403"
    assert one_line(RuntimeError()) == "RuntimeError"


@pytest.mark.parametrize(
    ("env", "protocol", "endpoint", "is_enabled"),
    [
        ({}, "http/protobuf", "", True),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318"},
            "http/protobuf",
            "http://h:4318/v1/traces",
            True,
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318/"},
            "http/protobuf",
            "http://h:4318/v1/traces",
            True,
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4317"}, "grpc", "http://h:4317", True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h/x"}, "http/protobuf", "http://h/x", True),
        ({"OTEL_SDK_DISABLED": "true"}, "http/protobuf", "", False),
        ({"WORDLOOM_TRACING_ENABLED": "0"}, "http/protobuf", "", False),
        ({"WORDLOOM_TRACING_ENABLED": "1"}, "http/protobuf", "", True),
    ],
)
def test_tracing_plan_follows_the_environment(env, protocol, endpoint, is_enabled):
    """Tracing is on unless switched off; the protocol follows the variable, else the port."""
    plan = plan_tracing(env, service="s")
    assert (plan.protocol, plan.endpoint, plan.is_enabled) == (protocol, endpoint, is_enabled)


def test_collector_that_is_away_costs_spans_but_not_the_exporter(log, lines):
    """A collector down at start is said, its losses are counted, and the exporter stays on."""
    losses = []
    port = free_ports(1)[0]
    plan = plan_tracing({OTLP: f"http://127.0.0.1:{port}"}, service="s")
    provider = start_tracing(plan, resource={}, log=log, count_loss=lambda: losses.append(1))
    with provider.get_tracer("t").start_as_current_span("s"):
        pass
    until(lambda: bool(losses), "a loss")
    provider.shutdown()
    (startup,) = lines.of("tracing.startup")
    assert (startup["collector_reachable"], startup["exporter_configured"]) == (False, True)
    assert len(lines.of("tracing.exporter_unreachable")) == 1
    assert lines.of("tracing.export_failed")[0]["lost_spans"] >= 1


def test_switched_off_tracing_says_so_and_makes_no_spans(log, lines):
    """With tracing off there are no spans, and a line that tells why."""
    plan = plan_tracing({"OTEL_SDK_DISABLED": "true"}, service="s")
    provider = start_tracing(plan, resource={}, log=log, count_loss=lambda: None)
    with provider.get_tracer("t").start_as_current_span("s") as span:
        assert not span.is_recording()
    assert lines.of("tracing.startup")[0]["enabled"] is False


class Moody(SpanExporter):
    """An exporter that does what the list says."""

    def __init__(self, moods):
        self.moods = iter(moods)

    def export(self, spans):
        mood = next(self.moods)
        if isinstance(mood, Exception):
            raise mood
        return mood

    def shutdown(self):
        pass


def test_recovery_reports_what_was_lost(log, lines):
    """One warning for a run of losses, one line with their number when the collector is back."""
    losses = []
    bad, good = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    moods = [good, bad, RuntimeError("boom"), bad, good, good]
    watched = WatchedExporter(Moody(moods), log=log, count_loss=lambda: losses.append(1))
    for _ in moods:
        watched.export([None, None])
    assert len(losses) == 3
    assert len(lines.of("tracing.export_failed")) == 1
    (recovered,) = lines.of("tracing.export_recovered")
    assert recovered["lost_spans"] == 6


def test_every_worker_metric_is_the_contracts():
    """Names and labels on the wire are those of the catalogue or of the lab's own short list."""
    meters = Meters((*WORKER_METRICS, *BULK_METRICS), bound={"projection": "p"})
    warm_worker(meters)
    warm_bulk(meters)
    known = BY_WIRE
    seen = set()
    for family in meters.registry.collect():
        for sample in family.samples:
            name = sample.name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            if name.startswith("outbox_") and not name.endswith("_created"):
                assert set(sample.labels) - {"le"} == set(known[name].labels)
                seen.add(name)
    expected = {m.name for m in known.values() if m.id not in {"produced", "up"}}
    assert seen | {"outbox_es_bulk_request_duration_seconds"} == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("OUTBOX_BULK_SIZE", "0"),
        ("OUTBOX_LEASE_SECONDS", "soon"),
        ("OUTBOX_MAX_BACKOFF_SECONDS", "inf"),
        ("OUTBOX_BASE_BACKOFF_SECONDS", "-1"),
        ("DATABASE_URL", "sqlite:///x"),
        ("DATABASE_URL", ""),
    ],
)
def test_senseless_setting_is_refused_by_name(name, text):
    """A variable that makes no sense is refused with its name and without its secrets."""
    from loomtriage.errors import UsageError

    with pytest.raises(UsageError, match=name) as refused:
        read_settings({"DATABASE_URL": DSN, name: text})
    assert "hunter2" not in str(refused.value)


def test_settings_speak_wordlooms_language():
    """Aliases and units of Wordloom's variables are understood; milliseconds win."""
    settings = read_settings(
        {
            "DATABASE_URL": DSN,
            "OUTBOX_POLL_INTERVAL_SECONDS": "9",
            "OUTBOX_POLL_INTERVAL_MS": "100",
            "OUTBOX_BATCH_SIZE": "7",
            "OUTBOX_METRICS_PORT": "9108",
            "OUTBOX_LEASE_SECONDS": "60",
        }
    ).outbox
    assert (settings.poll_s, settings.batch_size, settings.http_port) == (0.1, 7, 9110)
    assert settings.max_processing_s == 600  # 10 leases, which is more than 300 s
    assert settings.dsn.startswith("postgresql://")
