"""Search worker: carries outbox rows to Elasticsearch until it is told to stop.

Run as `python -m loomtriage.lab.worker` with Wordloom's environment variables.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

import psycopg
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import start_http_server

from loomtriage.contract.keys import OUTBOX_TABLES, SEARCH
from loomtriage.contract.spans import OBS_SCHEMA, SEARCH_SERVICE
from loomtriage.errors import SourceUnavailable, TriageError, UsageError
from loomtriage.lab.batch import Desk, Held, identity_of
from loomtriage.lab.bulk import Bulk
from loomtriage.lab.claims import Claims
from loomtriage.lab.db_sessions import Sessions, guard_environment, shown_dsn
from loomtriage.lab.es_client import ElasticClient
from loomtriage.lab.jsonlog import EventLog, start_logging
from loomtriage.lab.meters import BULK_METRICS, WORKER_METRICS, Meters, warm_bulk, warm_worker
from loomtriage.lab.projection import PerEvent
from loomtriage.lab.runtime import Runtime, serve_runtime
from loomtriage.lab.settle import Settler
from loomtriage.lab.taking import Taker
from loomtriage.lab.telemetry import plan_tracing, start_tracing
from loomtriage.lab.upkeep import Upkeep
from loomtriage.lab.worker_loop import Worker
from loomtriage.lab.worker_settings import WorkerSettings, read_settings

TRACER = "wordloom.search_outbox_worker"
MAX_LOCK_WAIT_S = 2.0


def build_worker(
    settings: WorkerSettings,
    *,
    elastic: ElasticClient,
    provider: TracerProvider,
    meters: Meters,
    log: EventLog,
) -> Worker:
    """Join the parts of a worker; nothing is started."""
    # A statement that waits longer than the claim lasts would only come too late.
    lock_timeout_s = min(MAX_LOCK_WAIT_S, settings.lease_s / 2)
    sessions = Sessions(settings.dsn, name=settings.worker_id, lock_timeout_s=lock_timeout_s)
    runtime = Runtime(
        projection=SEARCH,
        worker_id=settings.worker_id,
        max_silence_s=settings.max_silence_s,
        failures_before_draining=settings.ping_failures_before_draining,
        ping_elastic=(lambda: elastic.ping(1.0)) if settings.is_es_required else (lambda: ""),
    )
    claims = Claims(
        sessions=sessions,
        table=OUTBOX_TABLES[SEARCH],
        owner=settings.worker_id,
        lease_s=settings.lease_s,
        max_processing_s=settings.max_processing_s,
    )
    identity = identity_of(env=settings.env, worker_id=settings.worker_id, index=settings.index)
    held, tracer = Held(), provider.get_tracer(TRACER)
    desk = Desk(
        sessions=sessions,
        claims=claims,
        elastic=elastic,
        settler=Settler(
            claims=claims,
            meters=meters,
            log=log,
            policy=settings.retry,
            draw=random.SystemRandom().random,
            now=time.time,
        ),
        tracer=tracer,
        log=log,
        identity=identity,
        held=held,
        stop=runtime.stop,
    )
    bulk, per_event = Bulk(desk, meters), PerEvent(desk, concurrency=settings.concurrency)
    return Worker(
        settings=settings,
        runtime=runtime,
        taker=Taker(
            claims=claims,
            held=held,
            meters=meters,
            log=log,
            tracer=tracer,
            identity=identity,
            size=settings.batch_size,
            broken_pause_s=settings.broken_claim_s,
        ),
        desk=desk,
        upkeep=Upkeep(
            claims=claims,
            held=held,
            meters=meters,
            runtime=runtime,
            log=log,
            reclaim_interval_s=settings.reclaim_interval_s,
        ),
        meters=meters,
        process=bulk.process if settings.is_bulk else per_event.process,
    )


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


def run_worker(env: Mapping[str, str]) -> None:
    """Run one worker to its end.

    Raises:
        TriageError: it could not start.
    """
    settings = read_settings(env)
    start_logging(settings.log_level)
    logger = logging.getLogger("loomtriage.lab.worker")
    settings = checked_env(settings)
    log = EventLog(
        logger=logger,
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
    elastic = ElasticClient(settings.elastic_url, settings.index, provider=provider)
    worker = build_worker(settings, elastic=elastic, provider=provider, meters=meters, log=log)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: worker.runtime.ask_to_stop(signal.Signals(got).name))
    try:
        announce(log, settings)
        serve_metrics(meters, settings.metrics_port)
        worker.start_upkeep()
        serve_runtime(worker.runtime, settings.http_port)
        worker.stop_within_grace()
        worker.run()
        worker.close()
    finally:
        provider.shutdown()


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
        logging.getLogger("loomtriage.lab.worker").error("%s", error)  # noqa: TRY400  the sentence and its hint say all
        sys.exit(int(error.exit_code))


if __name__ == "__main__":
    main()
