"""Backoff: when a failed attempt is tried again, and whether it is tried at all.

Pure: randomness and policy are arguments, the clock is the database's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loomtriage.contract.keys import Result
from loomtriage.contract.reasons import BY_NAME, FailureClass

BOUNDED = frozenset({"unknown_exception"})
"""Transient reasons that end after max attempts: nobody knows that waiting helps."""

_JITTER_SHARE, _JITTER_CAP_S = 0.1, 1.0
_MAX_EXPONENT = 32
"""2^32 times any base is beyond every sensible maximum; it only keeps the power finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The worker's retry settings.

    Attributes:
        base_s: backoff of attempt 0, of which the first retry waits twice.
        max_s: no wait is longer, jitter included.
        max_attempts: tries of a bounded reason, and cap of the stored attempts of the others.
        is_terminal_on_transient: end transient failures after max attempts too.
    """

    base_s: float = 0.5
    max_s: float = 30.0
    max_attempts: int = 10
    is_terminal_on_transient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDecision:
    """What happens to a row after a failed attempt.

    Attributes:
        result: RETRY or FAILED.
        attempts: what the row's `attempts` becomes.
        delay_s: wait until the next attempt, None when there is none.
    """

    result: Result
    attempts: int
    delay_s: float | None


def backoff_s(attempts: int, *, policy: RetryPolicy, draw: Callable[[], float]) -> float:
    """Seconds to wait after that many attempts have failed.

    planned = min(max_s, base_s * 2^attempts); plus jitter U(0, min(1 s, 10 % of planned));
    never more than max_s.

    Args:
        attempts: failed attempts so far, this one included.
        draw: a random number in [0, 1).
    """
    planned_s = min(policy.max_s, policy.base_s * 2.0 ** min(max(attempts, 0), _MAX_EXPONENT))
    jitter_s = draw() * min(_JITTER_CAP_S, _JITTER_SHARE * planned_s)
    return min(policy.max_s, planned_s + jitter_s)


def decide(
    reason: str, *, attempts: int, policy: RetryPolicy, draw: Callable[[], float]
) -> RetryDecision:
    """Retry or terminal, for a row that had `attempts` failed attempts before this one."""
    following = attempts + 1
    known = BY_NAME.get(reason)
    is_transient = known is not None and known.failure is FailureClass.TRANSIENT
    is_bounded = reason in BOUNDED or policy.is_terminal_on_transient
    if not is_transient or (is_bounded and following >= policy.max_attempts):
        return RetryDecision(result=Result.FAILED, attempts=following, delay_s=None)
    stored = min(following, policy.max_attempts)
    delay_s = backoff_s(stored, policy=policy, draw=draw)
    return RetryDecision(result=Result.RETRY, attempts=stored, delay_s=delay_s)
