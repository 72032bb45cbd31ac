"""Sources as a set: one a signal, each with the same manners."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from loomtriage.model import Signal, State, Window
from loomtriage.sources import KINDS, Question, Sources, playback

START = datetime(2026, 2, 14, 14, 0, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(seconds=10))


def test_every_signal_has_one_kind_of_source():
    """The list names one class per signal, and each class is named after its file."""
    kinds = KINDS.all(noun="source")
    assert sorted(kind.signal for kind in kinds.values()) == sorted(Signal)
    assert [kind.name for kind in kinds.values()] == list(KINDS)


@pytest.mark.parametrize("signal", Signal)
def test_empty_recording_is_not_recorded(signal, tmp_path):
    """A source whose tape holds nothing is missing with a word and a hint, its probe NO_DATA."""
    source = playback(tmp_path).get(signal)
    frame = source.pull(Question(signal=signal, window=WINDOW, metrics=("up",)))
    assert (len(frame), frame.missing) == (0, "not_recorded")
    assert frame.hint
    assert frame.origin.fetched_at is None
    assert source.probe().state is State.NO_DATA


@pytest.mark.parametrize("signal", Signal)
def test_a_signal_may_have_no_source(signal):
    """What is not configured is None, not an error."""
    assert Sources(spec="live").get(signal) is None
