"""A stored scrape is read, or says why it is none."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomtriage.sources.metrics.scrape import read_scrape
from loomtriage.sources.tape import Unreadable

TEXT = b"""# HELP outbox_failed_total Failed.
# TYPE outbox_failed_total counter
outbox_failed_total{op="upsert",projection="p",reason="es_429"} 3.0
# HELP outbox_failed_created Failed.
# TYPE outbox_failed_created gauge
outbox_failed_created{op="upsert",projection="p",reason="es_429"} 1.771080084723912e+09
# HELP outbox_lag_events Lag.
# TYPE outbox_lag_events gauge
outbox_lag_events{projection="p"} 34.0
"""


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"scrape_failed: URLError: <urlopen error timed out>\n", "wrong_content"),
        (b"note: worker1 was killed by controller\nnote: x\n", "wrong_content"),
        (b"<!doctype html><title>x</title>", "wrong_content"),
        (TEXT.decode().encode("utf-16"), "wrong_content"),
        (TEXT + b"outbox_lag_events{projection=", "wrong_content"),
    ],
)
def test_what_is_no_scrape_says_so(data, word):
    """A stored failure or other content is missing, never a process with all counters zero."""
    with pytest.raises(Unreadable) as caught:
        read_scrape(data)
    assert caught.value.missing == word


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_samples_and_births(mark):
    """Values come by name and labels, births apart, with or without a byte order mark."""
    scrape = read_scrape(mark + TEXT)
    assert scrape.value("outbox_failed_total") == 3.0
    assert scrape.value("outbox_lag_events") == 34.0
    assert scrape.value("outbox_processed_total") is None
    assert scrape.births == (1771080084.723912,)


@given(st.text(alphabet='abc_{}="\\,# \n\t.0123456789eNaHTYPELP', max_size=80))
def test_any_text_is_read_or_refused(text):
    """Text of any shape gives samples or one word, never a crash."""
    with suppress(Unreadable):
        read_scrape(text.encode())
