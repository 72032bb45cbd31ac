"""Search worker: carries outbox rows to Elasticsearch until it is told to stop.

Run as `python -m loomtriage.lab.worker` with Wordloom's environment variables.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace

import psycopg
from prometheus_client import start_http_server

from loomtriage.contract.keys import SEARCH
from loomtriage.contract.spans import OBS_SCHEMA, SEARCH_SERVICE
from loomtriage.errors import SourceUnavailable, TriageError, UsageError
from loomtriage.lab.db_sessions import Sessions, guard_environment, shown_dsn
from loomtriage.lab.telemetry.jsonlog import EventLog, start_logging
from loomtriage.lab.telemetry.meters import (
    BULK_METRICS,
    WORKER_METRICS,
    Meters,
    warm_bulk,
    warm_worker,
)
from loomtriage.lab.telemetry.tracing import plan_tracing, start_tracing
from loomtriage.lab.worker.es_client import ElasticClient
from loomtriage.lab.worker.parts import Signals, build_worker
from loomtriage.lab.worker.runtime import serve_runtime
from loomtriage.lab.worker.settings import WorkerSettings, read_settings

LOGGER = "loomtriage.lab.worker"


def checked_env(settings: WorkerSettings) -> WorkerSettings:
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


def serve_metrics(meters: Meters, port: int) -> None:
    """Expose the metrics on the loopback.

    Raises:
        UsageError: the port is taken.
    """
    try:
        start_http_server(port, addr="127.0.0.1", registry=meters.registry)
    except OSError as error:
        raise UsageError(
            f"Port {port} is taken.", hint="Set OUTBOX_METRICS_PORT to a free one."
        ) from error


def open_signals(env: Mapping[str, str], settings: WorkerSettings) -> Signals:
    """Start tracing, make the metrics and the log; the caller shuts the provider down."""
    log = EventLog(
        logger=logging.getLogger(LOGGER),
        bound={
            "layer": "worker",
            "env": settings.env,
            "projection": SEARCH,
            "worker_id": settings.worker_id,
            "obs_schema": OBS_SCHEMA,
        },
    )
    meters = Meters((*WORKER_METRICS, *BULK_METRICS), bound={"projection": SEARCH})
    warm_worker(meters)
    warm_bulk(meters)
    provider = start_tracing(
        plan_tracing(env, service=SEARCH_SERVICE),
        resource={"wordloom.env": settings.env, "service.instance.id": settings.worker_id},
        log=log,
        count_loss=lambda: meters.add("trace_export_failures"),
    )
    return Signals(provider=provider, meters=meters, log=log)


def run_worker(env: Mapping[str, str]) -> None:
    """Run one worker to its end.

    Raises:
        TriageError: it could not start.
    """
    settings = read_settings(env)
    start_logging(settings.log_level)
    settings = checked_env(settings)
    signals = open_signals(env, settings)
    elastic = ElasticClient(settings.elastic_url, settings.index, provider=signals.provider)
    worker = build_worker(settings, elastic=elastic, signals=signals)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: worker.runtime.ask_to_stop(signal.Signals(got).name))
    try:
        announce(signals.log, settings)
        serve_metrics(signals.meters, settings.metrics_port)
        worker.start_upkeep()
        serve_runtime(worker.runtime, settings.http_port)
        worker.stop_within_grace()
        worker.run()
        worker.close()
    finally:
        signals.provider.shutdown()


def announce(log: EventLog, settings: WorkerSettings) -> None:
    """Log what the worker runs with; the DSN without its secrets."""
    log.emit(
        logging.INFO,
        "worker.starting",
        database=shown_dsn(settings.dsn),
        elastic=settings.elastic_url,
        es_index=settings.index,
        mode="es_bulk" if settings.is_bulk else "per_event",
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


def main() -> None:
    """Run with this process's environment; a refusal is one log line and its exit code."""
    start_logging(os.environ.get("LOG_LEVEL", "INFO"))
    try:
        run_worker(os.environ)
    except TriageError as error:
        logging.getLogger(LOGGER).error("%s", error)  # noqa: TRY400  the sentence and its hint say all
        sys.exit(int(error.exit_code))


if __name__ == "__main__":
    main()
