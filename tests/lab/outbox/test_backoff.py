"""Backoff, retry decision and classification: the worker's pure rules."""

from __future__ import annotations

import httpx
import psycopg.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomtriage.contract.keys import Result
from loomtriage.contract.reasons import REASONS
from loomtriage.lab.outbox.backoff import RetryPolicy, backoff_s, decide
from loomtriage.lab.outbox.failures import (
    Failure,
    failure_class,
    of_exception,
    of_status,
    single,
    summarise,
)

WORDLOOM = RetryPolicy(base_s=0.5, max_s=30.0, max_attempts=10)
LAB = RetryPolicy(base_s=0.5, max_s=5.0, max_attempts=10)
REQUEST = httpx.Request("PUT", "http://elastic.test/")


@pytest.mark.parametrize(
    ("attempts", "policy", "draw", "expected_s"),
    [
        (0, WORDLOOM, 0.0, 0.5),  # 0.5 * 2^0
        (1, WORDLOOM, 0.0, 1.0),  # 0.5 * 2^1: the first retry waits twice the base
        (2, WORDLOOM, 0.0, 2.0),  # 0.5 * 2^2
        (5, WORDLOOM, 0.0, 16.0),  # 0.5 * 2^5
        (6, WORDLOOM, 0.0, 30.0),  # 0.5 * 2^6 = 32, capped
        (1, WORDLOOM, 1.0, 1.1),  # 1 + 10 % of 1
        (4, WORDLOOM, 0.5, 8.4),  # 8 + half of 10 % of 8
        (5, WORDLOOM, 1.0, 17.0),  # 16 + min(1, 1.6): jitter is at most 1 s
        (6, WORDLOOM, 1.0, 30.0),  # 30 + 1, capped: jitter never passes the maximum
        (3, LAB, 0.0, 4.0),  # 0.5 * 2^3
        (4, LAB, 0.9, 5.0),  # 0.5 * 2^4 = 8, capped
        (-3, LAB, 0.0, 0.5),  # a broken row counts as a new one
        (100_000, WORDLOOM, 0.0, 30.0),  # no overflow
    ],
)
def test_backoff_doubles_up_to_its_maximum(attempts, policy, draw, expected_s):
    """The wait doubles with every attempt, jitter included it never passes the maximum."""
    assert backoff_s(attempts, policy=policy, draw=lambda: draw) == pytest.approx(expected_s)


@given(
    attempts=st.integers(-5, 10_000),
    draw=st.floats(0, 1, exclude_max=True),
    base_s=st.floats(0, 100),
    max_s=st.floats(0, 1000),
)
def test_backoff_stays_in_its_bounds(attempts, draw, base_s, max_s):
    """Whatever the settings, a wait is never negative and never above the maximum."""
    policy = RetryPolicy(base_s=base_s, max_s=max_s)
    assert 0 <= backoff_s(attempts, policy=policy, draw=lambda: draw) <= max_s


RETRY, FAILED = Result.RETRY, Result.FAILED


@pytest.mark.parametrize(
    ("reason", "attempts", "terminal_on_transient", "result", "stored"),
    [
        ("rate_limited", 0, False, RETRY, 1),
        ("es_unreachable", 9, False, RETRY, 10),  # transient: no end, 9 + 1
        ("es_unreachable", 50, False, RETRY, 10),  # stored attempts are capped at the maximum
        ("es_unreachable", 8, True, RETRY, 9),  # 9 < 10
        ("es_unreachable", 9, True, FAILED, 10),  # 10 is not < 10
        ("unknown_exception", 8, False, RETRY, 9),  # 9 < 10
        ("unknown_exception", 9, False, FAILED, 10),  # bounded even without the switch
        ("mapping_conflict", 0, False, FAILED, 1),
        ("es_write_blocked", 0, False, FAILED, 1),
        ("es_4xx", 0, False, FAILED, 1),
        ("es_other", 0, False, FAILED, 1),
        ("deterministic_exception", 0, False, FAILED, 1),
        ("unknown_op", 0, False, FAILED, 1),
        ("a reason nobody knows", 0, False, FAILED, 1),  # never an endless loop by accident
    ],
)
def test_decision_follows_the_class_of_the_reason(
    reason, attempts, terminal_on_transient, result, stored
):
    """Transient failures are retried, deterministic ones end at once, unknown ones are bounded."""
    policy = RetryPolicy(is_terminal_on_transient=terminal_on_transient)
    decision = decide(reason, attempts=attempts, policy=policy, draw=lambda: 0.0)
    assert (decision.result, decision.attempts) == (result, stored)
    assert (decision.delay_s is None) == (result is FAILED)


@pytest.mark.parametrize(
    ("status", "reason", "label"),
    [
        (429, "rate_limited", "429"),
        (400, "mapping_conflict", "4xx"),
        (403, "es_write_blocked", "4xx"),
        (404, "es_4xx", "4xx"),
        (413, "es_4xx", "4xx"),
        (500, "es_5xx", "5xx"),
        (503, "es_5xx", "5xx"),
        (302, "es_other", "other"),
        (100, "es_other", "other"),
        (None, "es_unknown", "unknown"),
    ],
)
def test_status_has_one_reason_and_one_class(status, reason, label):
    """An HTTP status maps to the canonical reason and to the class of the bulk metric."""
    failure = of_status(status, error="type: text")
    assert (failure.reason, failure_class(failure)) == (reason, label)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (httpx.ConnectError("refused", request=REQUEST), "es_unreachable"),
        (httpx.ConnectTimeout("no SYN-ACK", request=REQUEST), "es_unreachable"),
        (httpx.ReadTimeout("silent", request=REQUEST), "es_timeout"),
        (httpx.PoolTimeout("busy", request=REQUEST), "es_timeout"),
        (httpx.RemoteProtocolError("cut", request=REQUEST), "es_request_error"),
        (httpx.ReadError("reset", request=REQUEST), "es_request_error"),
        (psycopg.errors.LockNotAvailable("lock timeout"), "db_contention"),
        (psycopg.errors.DeadlockDetected("deadlock"), "db_contention"),
        (ValueError("bad"), "deterministic_exception"),
        (KeyError("x"), "deterministic_exception"),
        (RuntimeError("?"), "unknown_exception"),
        (psycopg.OperationalError("gone"), "unknown_exception"),
    ],
)
def test_exception_has_one_reason(trouble, reason):
    """Every exception of an attempt becomes a reason; what nobody foresaw is said to be unknown."""
    assert of_exception(trouble).reason == reason


def test_every_reason_of_a_failure_is_in_the_contract():
    """No status and no exception leads to a reason that the contract does not list."""
    found = {of_status(status, error="").reason for status in (None, *range(100, 600))}
    assert found <= {reason.name for reason in REASONS}


def test_error_text_is_one_short_line_without_passwords():
    """What is stored in a row and a log field can be read in a table cell, and betrays nothing."""
    long = of_status(400, error="type: first\nsecond " + "x" * 1000)
    secret = of_exception(RuntimeError("dsn postgresql://u:hunter2@h/db\nFor more information"))
    assert "\n" not in long.error
    assert len(long.error) <= 500
    assert secret.error == "RuntimeError: dsn postgresql://u:***@h/db"
    assert of_status(500, error="").error == "HTTP 500"


OK = (Result.OK, "none")
UNREACHABLE, POISON = (RETRY, "es_unreachable"), (FAILED, "mapping_conflict")


@pytest.mark.parametrize(
    ("rows", "partial", "result", "reason"),
    [
        ([OK, OK], None, Result.OK, "none"),
        ([OK, UNREACHABLE], None, RETRY, "es_unreachable"),
        ([OK, UNREACHABLE, POISON], None, FAILED, "mixed"),
        ([POISON, POISON], Result.PARTIAL, FAILED, "mapping_conflict"),
        ([OK, POISON], Result.PARTIAL, Result.PARTIAL, "mapping_conflict"),
        ([UNREACHABLE], Result.PARTIAL, RETRY, "es_unreachable"),
        ([OK], Result.PARTIAL, Result.OK, "none"),
        ([], None, Result.OK, "none"),  # all rows were given back at shutdown
    ],
)
def test_batch_sums_up_its_rows(rows, partial, result, reason):
    """Failed wins over retry over ok; partial needs a success and a failure in one request."""
    summary = summarise(rows, partial=partial)
    assert (summary.result, summary.reason) == (result, reason)
    assert summary.ok_count + summary.retry_count + summary.failed_count == len(rows)


def test_single_names_the_one_value():
    """Several ops in a batch are `mixed`, never the first one's."""
    assert (single(["upsert", "upsert"]), single(["upsert", "delete"])) == ("upsert", "mixed")


def test_request_without_an_answer_is_not_called_a_server_error():
    """A refused connection is class unknown: no server said 5xx."""
    assert failure_class(Failure(reason="es_unreachable", error="ConnectError")) == "unknown"
