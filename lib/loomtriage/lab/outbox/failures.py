"""Failures: which reason of the contract an HTTP status or an exception is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import psycopg.errors

from loomtriage.contract.keys import Result
from loomtriage.contract.reasons import canonical
from loomtriage.lab.telemetry.jsonlog import one_line, redact

MAX_ERROR_CHARS = 500

_DETERMINISTIC = (ValueError, KeyError, TypeError)
LOCKED = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why one attempt did not succeed.

    Attributes:
        reason: canonical reason.
        status: HTTP status, None when there was no answer.
        error: one line, class or type first.
        trouble: the exception, None when Elasticsearch answered.
    """

    reason: str
    status: int | None = None
    error: str
    trouble: Exception | None = None


def of_status(status: int | None, *, error: str) -> Failure:
    """The failure of an answer or a bulk item; `None` is an item without a status."""
    if status is None:
        reason = "es_unknown"
    elif status == 429:
        reason = "rate_limited"
    elif 400 <= status < 500:
        reason = canonical("es_4xx", status=status)
    else:
        reason = "es_5xx" if 500 <= status < 600 else "es_other"
    text = redact(" ".join(error.split()))[:MAX_ERROR_CHARS]
    return Failure(reason=reason, status=status, error=text or f"HTTP {status}")


def of_exception(trouble: Exception) -> Failure:
    """The failure that an exception means."""
    return Failure(reason=_reason_of(trouble), error=one_line(trouble), trouble=trouble)


def _reason_of(trouble: Exception) -> str:
    if isinstance(trouble, httpx.ConnectError | httpx.ConnectTimeout):
        return "es_unreachable"
    if isinstance(trouble, httpx.TimeoutException):
        return "es_timeout"
    if isinstance(trouble, httpx.RequestError):
        return "es_request_error"
    if isinstance(trouble, LOCKED):
        return "db_contention"
    return "deterministic_exception" if isinstance(trouble, _DETERMINISTIC) else "unknown_exception"


def failure_class(failure: Failure) -> str:
    """The class that the bulk item metric carries: 429, 4xx, 5xx, unknown or other.

    A request without an answer is `unknown`: Wordloom books it as 5xx, which no server said.
    """
    status = failure.status
    if status is None:
        return "unknown"
    if status == 429:
        return "429"
    return {4: "4xx", 5: "5xx"}.get(status // 100, "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """How a batch ended, counted over its rows."""

    result: Result
    reason: str
    ok_count: int
    retry_count: int
    failed_count: int


def summarise(outcomes: Sequence[tuple[Result, str]], *, partial: Result | None) -> BatchResult:
    """The result and reason of a batch from those of its rows.

    Failed wins over retry, retry over ok. Several reasons are `mixed`.

    Args:
        outcomes: result and reason of every row.
        partial: what a batch is called of which some rows succeeded and others did not;
            None keeps the precedence.
    """
    counts = Counter(result for result, _ in outcomes)
    reasons = {reason for result, reason in outcomes if result is not Result.OK}
    result = next((r for r in (Result.FAILED, Result.RETRY) if counts[r]), Result.OK)
    if partial is not None and counts[Result.OK] and result is not Result.OK:
        result = partial
    return BatchResult(
        result=result,
        reason="none" if not reasons else reasons.pop() if len(reasons) == 1 else "mixed",
        ok_count=counts[Result.OK],
        retry_count=counts[Result.RETRY],
        failed_count=counts[Result.FAILED],
    )


def single(values: Sequence[str]) -> str:
    """The one value of a batch, `mixed` when there are several."""
    return values[0] if len(set(values)) == 1 else "mixed"
