"""Long windows: raw samples within the budget of points, thinned ones beyond it, and said so."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest

from loomtriage.model import Signal, Window
from loomtriage.sources import Live, Prometheus, Question
from loomtriage.sources.http import Limits
from loomtriage.sources.metrics.sampling import MAX_POINTS
from tests.sources.wire import Wire, floods, says

START = datetime(2026, 2, 14, 14, 0, tzinfo=UTC)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


def ask(hours):
    window = Window(START, START + timedelta(hours=hours))
    return Question(signal=Signal.METRICS, window=window, metrics=("up",))


def answer(kind, *result):
    data = {"resultType": kind, "result": list(result)}
    return says(json.dumps({"status": "success", "data": data}).encode())


def held(count):
    return answer("vector", {"metric": {}, "value": [START.timestamp(), str(count)]})


SAMPLES = answer("matrix", {"metric": {"__name__": "up"}, "values": [[START.timestamp() + 1, "1"]]})
REFUSED = says(b'{"status":"error"}', status="422 Unprocessable")


def pull(hours, *answers, limits=None):
    """The frame, and path and form of each request."""
    with Wire(*answers) as wire:
        frame = Prometheus(wire.url, tape=Live(), limits=limits).pull(ask(hours))
        asked = [request.split(b" ")[1].decode() for request in wire.requests]
        forms = [parse_qs(request.partition(b"\r\n\r\n")[2].decode()) for request in wire.requests]
    return frame, list(zip(asked, forms, strict=True))


@pytest.mark.parametrize(
    ("hours", "answers"), [(1, (SAMPLES,)), (30, (held(7_200), SAMPLES)), (30, (REFUSED, SAMPLES))]
)
def test_within_the_budget_samples_stay_raw(hours, answers):
    """A short window is asked at once; a longer one is counted first, and nothing is thinned."""
    frame, asked = pull(hours, *answers)
    assert (len(frame), frame.caveats) == (1, ())
    path, form = asked[-1]
    assert path == "/api/v1/query"
    assert form["query"] == [f'{{__name__="up"}}[{hours * 3600 + 1}s]']


@pytest.mark.parametrize(("hours", "count", "step_s"), [(30, 216_000, 10), (1_000, 24_000, 331)])
def test_beyond_the_budget_one_value_a_step(hours, count, step_s):
    """Fewer than 11 000 points a series are asked for, with the step in a caveat."""
    frame, asked = pull(hours, held(count), SAMPLES)
    path, form = asked[-1]
    assert path == "/api/v1/query_range"
    assert form["query"] == ['{__name__="up"}']
    assert form["step"] == [f"{step_s}s"]
    assert float(form["start"][0]) == START.timestamp()
    assert hours * 3600 / step_s + 1 < 11_000
    assert len(frame.caveats) == 1
    assert frame.caveats[0].startswith(f"thinned: a series holds {count} samples")
    assert f"every {step_s} s" in frame.caveats[0]


def test_step_is_never_below_the_time_between_samples():
    """Where samples come every 15 s, a server without raw samples is asked every 15 s."""
    frame, asked = pull(1, REFUSED, held(240), SAMPLES)
    assert asked[-1][1]["step"] == ["15s"]
    assert "gives no raw samples" in frame.caveats[0]


def test_too_many_bytes_are_thinned():
    """An answer beyond the cap is asked for again with fewer points."""
    flood = floods(HEAD, b" " * 65536)
    limits = Limits(deadline_s=5, max_bytes=100_000)
    frame, asked = pull(1, flood, held(7_200), flood, SAMPLES, limits=limits)
    assert [form["step"] for _, form in asked[2:]] == [["1s"], ["4s"]]
    assert "too many bytes" in frame.caveats[0]


def test_without_any_answer_the_first_trouble_is_told():
    """Where thinning helps as little, the frame says what was wrong at first."""
    frame, _ = pull(1, says(b"no", status="400 Bad"), REFUSED)
    assert (len(frame), frame.missing) == (0, "http_400")


def test_exact_bounds_are_asked():
    """The client rounds to whole seconds; the server is asked for the very window."""
    window = Window(
        START + timedelta(milliseconds=250), START + timedelta(hours=30, milliseconds=750)
    )
    with Wire(held(MAX_POINTS + 1), SAMPLES) as wire:
        Prometheus(wire.url, tape=Live()).pull(
            Question(signal=Signal.METRICS, window=window, metrics=("up",))
        )
        form = parse_qs(wire.requests[-1].partition(b"\r\n\r\n")[2].decode())
    assert float(form["start"][0]) == window.start.timestamp()
    assert float(form["end"][0]) == window.end.timestamp()
