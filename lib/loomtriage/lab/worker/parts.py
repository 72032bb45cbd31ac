"""Worker parts: how a search worker is put together; nothing is started here."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from opentelemetry.sdk.trace import TracerProvider

from loomtriage.contract.keys import OUTBOX_TABLES, SEARCH
from loomtriage.lab.db_sessions import Sessions
from loomtriage.lab.outbox.claims import Claims
from loomtriage.lab.outbox.settle import Settler
from loomtriage.lab.telemetry.jsonlog import EventLog
from loomtriage.lab.telemetry.meters import Meters
from loomtriage.lab.worker.batch import Desk, Held, identity_of
from loomtriage.lab.worker.bulk import Bulk
from loomtriage.lab.worker.es_client import ElasticClient
from loomtriage.lab.worker.loop import Worker
from loomtriage.lab.worker.projection import PerEvent
from loomtriage.lab.worker.runtime import Runtime
from loomtriage.lab.worker.settings import WorkerSettings
from loomtriage.lab.worker.taking import Taker
from loomtriage.lab.worker.upkeep import Upkeep

TRACER = "wordloom.search_outbox_worker"
MAX_LOCK_WAIT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Where a worker's traces, metrics and log lines go."""

    provider: TracerProvider
    meters: Meters
    log: EventLog


def build_worker(settings: WorkerSettings, *, elastic: ElasticClient, signals: Signals) -> Worker:
    """Join the parts of a worker."""
    runtime = _runtime(settings, elastic)
    desk = _desk(settings, elastic, runtime=runtime, signals=signals)
    bulk, per_event = Bulk(desk, signals.meters), PerEvent(desk, concurrency=settings.concurrency)
    return Worker(
        settings=settings,
        runtime=runtime,
        taker=_taker(settings, desk, signals=signals),
        desk=desk,
        upkeep=Upkeep(
            claims=desk.claims,
            held=desk.held,
            meters=signals.meters,
            runtime=runtime,
            log=signals.log,
            reclaim_interval_s=settings.reclaim_interval_s,
        ),
        meters=signals.meters,
        process=bulk.process if settings.is_bulk else per_event.process,
    )


def _runtime(settings: WorkerSettings, elastic: ElasticClient) -> Runtime:
    return Runtime(
        projection=SEARCH,
        worker_id=settings.worker_id,
        max_silence_s=settings.max_silence_s,
        failures_before_draining=settings.ping_failures_before_draining,
        ping_elastic=(lambda: elastic.ping(1.0)) if settings.is_es_required else (lambda: ""),
    )


def _claims(settings: WorkerSettings) -> Claims:
    # A statement that waits longer than the claim lasts would only come too late.
    lock_timeout_s = min(MAX_LOCK_WAIT_S, settings.lease_s / 2)
    return Claims(
        sessions=Sessions(settings.dsn, name=settings.worker_id, lock_timeout_s=lock_timeout_s),
        table=OUTBOX_TABLES[SEARCH],
        owner=settings.worker_id,
        lease_s=settings.lease_s,
        max_processing_s=settings.max_processing_s,
    )


def _desk(
    settings: WorkerSettings, elastic: ElasticClient, *, runtime: Runtime, signals: Signals
) -> Desk:
    claims = _claims(settings)
    return Desk(
        sessions=claims.sessions,
        claims=claims,
        elastic=elastic,
        settler=Settler(
            claims=claims,
            meters=signals.meters,
            log=signals.log,
            policy=settings.retry,
            draw=random.SystemRandom().random,
            now=time.time,
        ),
        tracer=signals.provider.get_tracer(TRACER),
        log=signals.log,
        identity=identity_of(env=settings.env, worker_id=settings.worker_id, index=settings.index),
        held=Held(),
        stop=runtime.stop,
    )


def _taker(settings: WorkerSettings, desk: Desk, *, signals: Signals) -> Taker:
    return Taker(
        claims=desk.claims,
        held=desk.held,
        meters=signals.meters,
        log=signals.log,
        tracer=desk.tracer,
        identity=desk.identity,
        size=settings.batch_size,
        broken_pause_s=settings.broken_claim_s,
    )
