"""Outbox process: how a worker of any projection starts, is watched and ends as a process."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import psycopg
from prometheus_client import start_http_server

from loomtriage.contract.spans import OBS_SCHEMA
from loomtriage.errors import SourceUnavailable, TriageError, UsageError
from loomtriage.lab.db_sessions import Sessions, guard_environment, shown_dsn
from loomtriage.lab.outbox.assembly import Signals
from loomtriage.lab.outbox.loop import Worker
from loomtriage.lab.outbox.runtime import serve_runtime
from loomtriage.lab.outbox.settings import OutboxSettings
from loomtriage.lab.telemetry.jsonlog import EventLog, start_logging
from loomtriage.lab.telemetry.meters import Meters
from loomtriage.lab.telemetry.tracing import plan_tracing, start_tracing

LOGGER = "loomtriage.lab.worker"


def checked_env(settings: OutboxSettings) -> OutboxSettings:
    """The settings with the environment that the database confirms.

    Raises:
        SourceUnavailable: the database does not answer.
        Refused: it is marked as another environment, or not at all.
    """
    sessions = Sessions(settings.dsn, name=settings.worker_id)
    try:
        return replace(settings, env=guard_environment(sessions, wanted=settings.env))
    except psycopg.OperationalError as error:
        raise SourceUnavailable(
            f"The database at {shown_dsn(settings.dsn)} does not answer.",
            hint="Start it, or correct DATABASE_URL.",
        ) from error
    finally:
        sessions.close()


def open_signals(
    env: Mapping[str, str],
    settings: OutboxSettings,
    *,
    service: str,
    projection: str,
    metrics: Sequence[str],
) -> Signals:
    """Start tracing, make the metrics and the log; the caller shuts the provider down."""
    log = EventLog(
        logger=logging.getLogger(LOGGER),
        bound={
            "layer": "worker",
            "env": settings.env,
            "projection": projection,
            "worker_id": settings.worker_id,
            "obs_schema": OBS_SCHEMA,
        },
    )
    meters = Meters(metrics, bound={"projection": projection})
    provider = start_tracing(
        plan_tracing(env, service=service),
        resource={"wordloom.env": settings.env, "service.instance.id": settings.worker_id},
        log=log,
        count_loss=lambda: meters.add("trace_export_failures"),
    )
    return Signals(provider=provider, meters=meters, log=log)


def run_to_end(worker: Worker, signals: Signals) -> None:
    """Serve metrics and health, and work until SIGTERM or SIGINT.

    Raises:
        UsageError: a port is taken.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: worker.runtime.ask_to_stop(signal.Signals(got).name))
    settings = worker.settings
    try:
        _serve_metrics(signals.meters, settings.metrics_port)
        worker.start_upkeep()
        serve_runtime(worker.runtime, settings.http_port)
        worker.stop_within_grace()
        worker.run()
        worker.close()
    finally:
        signals.provider.shutdown()


def _serve_metrics(meters: Meters, port: int) -> None:
    try:
        start_http_server(port, addr="127.0.0.1", registry=meters.registry)
    except OSError as error:
        raise UsageError(
            f"Port {port} is taken.", hint="Set OUTBOX_METRICS_PORT to a free one."
        ) from error


def announce(log: EventLog, settings: OutboxSettings, **own: str) -> None:
    """Log what the worker runs with; the DSN without its secrets.

    Args:
        own: what the projection has beside.
    """
    log.bind(**own).emit(
        logging.INFO,
        "worker.starting",
        database=shown_dsn(settings.dsn),
        batch_size=settings.batch_size,
        concurrency=settings.concurrency,
        poll_s=settings.poll_s,
        lease_s=settings.lease_s,
        max_processing_s=settings.max_processing_s,
        reclaim_interval_s=settings.reclaim_interval_s,
        max_attempts=settings.retry.max_attempts,
        broken_claim_s=settings.broken_claim_s,
        process_sleep_s=settings.process_sleep_s,
        metrics_port=settings.metrics_port,
        http_port=settings.http_port,
    )


def main(run: Callable[[Mapping[str, str]], None]) -> None:
    """Run with this process's environment; a refusal is one log line and its exit code."""
    start_logging(os.environ.get("LOG_LEVEL", "INFO"))
    try:
        run(os.environ)
    except TriageError as error:
        logging.getLogger(LOGGER).error("%s", error)  # noqa: TRY400  the sentence and its hint say all
        sys.exit(int(error.exit_code))
