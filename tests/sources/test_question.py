"""The same question has the same key, another question another one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from loomtriage.model import Scope, Signal, Window
from loomtriage.sources import Question

START = datetime(2026, 2, 14, 14, 0, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(minutes=1))
LATER = Window(START, START + timedelta(minutes=1, microseconds=1))


def key(signal=Signal.METRICS, window=WINDOW, **more):
    return Question(signal=signal, window=window, **more).key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"signal": Signal.LOGS}),
        ({}, {"window": LATER}),
        ({"metrics": ("up",)}, {"metrics": ("down",)}),
        ({"scope": Scope(env="dev")}, {"scope": Scope(env="test")}),
        ({"signal": Signal.TRACES, "service": "a"}, {"signal": Signal.TRACES, "service": "b"}),
        ({"signal": Signal.TRACES, "limit": 1}, {"signal": Signal.TRACES, "limit": 2}),
        ({"signal": Signal.TRACES}, {"signal": Signal.TRACES, "attributes": (("result", "ok"),)}),
        (
            {"signal": Signal.ROWS, "scope": Scope(projection="a")},
            {"signal": Signal.ROWS, "scope": Scope(projection="b")},
        ),
    ],
)
def test_another_question_has_another_key(one, other):
    """Everything that the source is asked stands in the key."""
    assert key(**one) != key(**other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"metrics": ("up", "a")}, {"metrics": ("a", "up", "a")}),
        ({}, {"scope": Scope(reason="rate_limited", op="upsert")}),
        (
            {"signal": Signal.TRACES, "trace_ids": ("AB", "c")},
            {"signal": Signal.TRACES, "trace_ids": ("c", "ab"), "service": "s", "window": LATER},
        ),
        (
            {"signal": Signal.TRACES, "attributes": (("a", "1"), ("b", "2"))},
            {"signal": Signal.TRACES, "attributes": (("b", "2"), ("a", "1"), ("b", "2"))},
        ),
        ({"signal": Signal.LOGS}, {"signal": Signal.LOGS, "scope": Scope(env="dev")}),
    ],
)
def test_same_question_has_the_same_key(one, other):
    """Order, repetition and what is filtered afterwards do not matter."""
    assert key(**one) == key(**other)


def test_a_time_zone_is_no_other_question():
    """The same instants written in another zone give the same key."""
    taipei = timezone(timedelta(hours=8))
    there = Window(WINDOW.start.astimezone(taipei), WINDOW.end.astimezone(taipei))
    assert key(window=there) == key()


def test_without_attributes_the_key_is_what_it_was():
    """Recordings made before attributes could be asked for still answer."""
    assert "attributes" not in key(signal=Signal.TRACES, service="s", operation="o")
