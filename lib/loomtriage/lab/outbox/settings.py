"""Outbox settings: the environment variables that every worker of Wordloom reads, checked."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from loomtriage.errors import UsageError
from loomtriage.lab.db_sessions import plain_dsn
from loomtriage.lab.outbox.backoff import RetryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What differs between the workers where a variable is not set."""

    metrics_port: int
    batch_size: int
    poll_s: float
    max_backoff_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSettings:
    """Settings of one worker of any projection; seconds carry `_s`.

    Attributes:
        dsn: PostgreSQL address for psycopg; holds a password, never log it.
        env: what the database must say it is; empty takes its word.
        broken_claim_s: experiment: pause inside a claim without lock, None for a sound claim.
        process_sleep_s: experiment: pause between claim and processing.
    """

    dsn: str
    env: str
    metrics_port: int
    http_port: int
    worker_id: str
    batch_size: int
    concurrency: int
    poll_s: float
    lease_s: float
    max_processing_s: float
    reclaim_interval_s: float
    retry: RetryPolicy
    shutdown_grace_s: float
    max_silence_s: float
    ping_interval_s: float
    ping_failures_before_draining: int
    log_level: str
    broken_claim_s: float | None
    process_sleep_s: float


def read_outbox(env: Mapping[str, str], defaults: Defaults) -> OutboxSettings:
    """The settings in an environment.

    Raises:
        UsageError: a variable is missing or is not what it should be.
    """
    metrics_port = int(number(env, "OUTBOX_METRICS_PORT", defaults.metrics_port))
    lease_s = number(env, "OUTBOX_LEASE_SECONDS", 30.0, least=0.2)
    size_name = "OUTBOX_BULK_SIZE" if env.get("OUTBOX_BULK_SIZE") else "OUTBOX_BATCH_SIZE"
    return OutboxSettings(
        dsn=plain_dsn(env.get("DATABASE_URL", "")),
        env=env.get("WORDLOOM_ENV", "").strip(),
        metrics_port=metrics_port,
        http_port=int(number(env, "OUTBOX_HTTP_PORT", metrics_port + 2)),
        worker_id=(env.get("OUTBOX_WORKER_ID") or f"{socket.gethostname()}:{os.getpid()}")[:120],
        batch_size=int(number(env, size_name, defaults.batch_size, least=1)),
        concurrency=int(number(env, "OUTBOX_CONCURRENCY", 1, least=1)),
        poll_s=_poll_s(env, defaults.poll_s),
        lease_s=lease_s,
        max_processing_s=number(env, "OUTBOX_MAX_PROCESSING_SECONDS", max(300.0, 10 * lease_s)),
        reclaim_interval_s=number(env, "OUTBOX_RECLAIM_INTERVAL_SECONDS", 5.0, least=0.1),
        retry=_retry(env, defaults.max_backoff_s),
        shutdown_grace_s=number(env, "OUTBOX_SHUTDOWN_GRACE_SECONDS", 25.0),
        max_silence_s=number(env, "OUTBOX_HEALTH_MAX_SILENCE_SECONDS", 10.0, least=0.1),
        ping_interval_s=number(env, "OUTBOX_DB_PING_INTERVAL_SECONDS", 1.0, least=0.1),
        ping_failures_before_draining=int(
            number(env, "OUTBOX_DB_PING_FAILS_BEFORE_DRAINING", 3, least=1)
        ),
        log_level=env.get("LOG_LEVEL") or "INFO",
        broken_claim_s=number(env, "OUTBOX_EXPERIMENT_BREAK_CLAIM_SLEEP_SECONDS", 0.2)
        if flag(env, "OUTBOX_EXPERIMENT_BREAK_CLAIM")
        else None,
        process_sleep_s=number(env, "OUTBOX_EXPERIMENT_PROCESS_SLEEP_SECONDS", 0.0),
    )


def _poll_s(env: Mapping[str, str], default_s: float) -> float:
    if env.get("OUTBOX_POLL_INTERVAL_MS"):
        return number(env, "OUTBOX_POLL_INTERVAL_MS", 0, least=10) / 1000
    return number(env, "OUTBOX_POLL_INTERVAL_SECONDS", default_s, least=0.01)


def _retry(env: Mapping[str, str], max_backoff_s: float) -> RetryPolicy:
    return RetryPolicy(
        base_s=number(env, "OUTBOX_BASE_BACKOFF_SECONDS", 0.5),
        max_s=number(env, "OUTBOX_MAX_BACKOFF_SECONDS", max_backoff_s),
        max_attempts=int(number(env, "OUTBOX_MAX_ATTEMPTS", 10, least=1)),
        is_terminal_on_transient=flag(env, "OUTBOX_TERMINAL_ON_TRANSIENT"),
    )


def number(env: Mapping[str, str], name: str, default: float, *, least: float = 0.0) -> float:
    """The number in a variable.

    Raises:
        UsageError: it is none, or below `least`.
    """
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value < float("inf"):
        raise UsageError(
            f"{name} is {text!r}, not a number of at least {least:g}.",
            hint="Correct the variable, or unset it to take the default.",
        )
    return value


def flag(env: Mapping[str, str], name: str) -> bool:
    """Whether a variable says yes."""
    return env.get(name, "").strip().lower() in {"1", "true", "yes", "on"}
