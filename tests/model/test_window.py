"""Windows: half-open, aware, and refused otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from loomtriage.errors import UsageError
from loomtriage.model import Window
from loomtriage.model.window import parse_instant, parse_span

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-03-01T00:00:00", "yesterday", "", "2026-13-01T00:00:00Z"])
def test_a_time_without_zone_or_sense_is_refused(text):
    """A naive or broken time gets one line that says how to write it."""
    with pytest.raises(UsageError):
        parse_instant(text)


def test_an_offset_is_turned_into_utc():
    """Local times with an offset are the same instant in UTC."""
    assert parse_instant("2026-03-01T08:00:00+08:00") == START


@pytest.mark.parametrize("end", [START, START - timedelta(seconds=1)])
def test_a_window_that_ends_before_it_starts_is_refused(end):
    """Empty and negative windows hold nothing to judge."""
    with pytest.raises(UsageError):
        Window(START, end)


def test_a_naive_bound_is_refused():
    """No window is built from a naive datetime."""
    with pytest.raises(UsageError):
        Window(datetime(2026, 3, 1), START)  # noqa: DTZ001  (that is the point)


def test_the_end_is_outside():
    """Half-open: two adjacent windows never share an instant."""
    window = Window(START, START + timedelta(seconds=10))
    assert window.start in window
    assert window.end not in window
    assert window.end in Window(window.end, window.end + timedelta(seconds=1))


def test_the_baseline_ends_where_the_window_starts():
    """A baseline of the same length, adjacent, not overlapping."""
    window = Window(START, START + timedelta(seconds=10))
    assert window.before() == Window(START - timedelta(seconds=10), START)


@pytest.mark.parametrize("text", ["0s", "10", "-5m", "m", "1w", "1e3s"])
def test_a_span_without_sense_is_refused(text):
    """Only whole numbers with s, m, h or d."""
    with pytest.raises(UsageError):
        parse_span(text)
