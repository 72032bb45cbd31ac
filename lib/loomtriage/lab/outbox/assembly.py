"""Assembly: how the parts that every outbox worker has are put together; nothing is started."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from opentelemetry.sdk.trace import TracerProvider

from loomtriage.contract.keys import OUTBOX_TABLES
from loomtriage.lab.db_sessions import Sessions
from loomtriage.lab.outbox.batch import Desk, Held, identity_of
from loomtriage.lab.outbox.claims import Claims
from loomtriage.lab.outbox.runtime import Runtime
from loomtriage.lab.outbox.settings import OutboxSettings
from loomtriage.lab.outbox.settle import Settler
from loomtriage.lab.outbox.taking import Taker
from loomtriage.lab.outbox.upkeep import Upkeep
from loomtriage.lab.telemetry.jsonlog import EventLog
from loomtriage.lab.telemetry.meters import Meters

MAX_LOCK_WAIT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Where a worker's traces, metrics and log lines go."""

    provider: TracerProvider
    meters: Meters
    log: EventLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """What one projection calls itself.

    Attributes:
        name: full name of the projection.
        tracer: name of its instrumentation scope.
        marks: span attributes of its own, on every span.
    """

    name: str
    tracer: str
    marks: Mapping[str, str]


def build_runtime(
    settings: OutboxSettings, projection: Projection, *, ping_target: Callable[[], str]
) -> Runtime:
    """The shared state of the worker's threads."""
    return Runtime(
        projection=projection.name,
        worker_id=settings.worker_id,
        max_silence_s=settings.max_silence_s,
        failures_before_draining=settings.ping_failures_before_draining,
        ping_target=ping_target,
    )


def build_desk(
    settings: OutboxSettings, projection: Projection, *, runtime: Runtime, signals: Signals
) -> Desk:
    """What the projection works with."""
    claims = _claims(settings, projection)
    identity = identity_of(
        projection=projection.name, env=settings.env, worker_id=settings.worker_id
    )
    return Desk(
        sessions=claims.sessions,
        claims=claims,
        settler=Settler(
            claims=claims,
            meters=signals.meters,
            log=signals.log,
            policy=settings.retry,
            draw=random.SystemRandom().random,
            now=time.time,
        ),
        tracer=signals.provider.get_tracer(projection.tracer),
        log=signals.log,
        identity={**identity, **projection.marks},
        held=Held(),
        stop=runtime.stop,
    )


def _claims(settings: OutboxSettings, projection: Projection) -> Claims:
    # A statement that waits longer than the claim lasts would only come too late.
    lock_timeout_s = min(MAX_LOCK_WAIT_S, settings.lease_s / 2)
    return Claims(
        sessions=Sessions(settings.dsn, name=settings.worker_id, lock_timeout_s=lock_timeout_s),
        table=OUTBOX_TABLES[projection.name],
        owner=settings.worker_id,
        lease_s=settings.lease_s,
        max_processing_s=settings.max_processing_s,
    )


def build_taker(settings: OutboxSettings, desk: Desk, *, signals: Signals) -> Taker:
    """What claims batches."""
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


def build_upkeep(
    settings: OutboxSettings, desk: Desk, *, runtime: Runtime, signals: Signals
) -> Upkeep:
    """What the worker does beside its loop."""
    return Upkeep(
        claims=desk.claims,
        held=desk.held,
        meters=signals.meters,
        runtime=runtime,
        log=signals.log,
        reclaim_interval_s=settings.reclaim_interval_s,
    )
