"""The metrics source: raw samples on contract levels, and never zero out of damage."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest

from loomtriage.model import Scope, Signal, State, Window
from loomtriage.sources import Live, Playback, Prometheus, Question, Recording
from loomtriage.sources.http import Limits
from tests.sources.wire import Wire, drips, floods, hangs, says, sends

START = datetime(2026, 2, 14, 14, 0, tzinfo=UTC)
T0 = START.timestamp()
WINDOW = Window(START, START + timedelta(seconds=10))
FAILED = "outbox_failed_total"
SEARCH = "search_index_to_elastic"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


def ask(**more):
    return Question(signal=Signal.METRICS, window=WINDOW, metrics=(FAILED,), **more)


def series(*points, **labels):
    values = [[T0 + at, str(value)] for at, value in points]
    return {
        "metric": {"__name__": FAILED, "instance": "w", "env": "dev"} | labels,
        "values": values,
    }


def matrix(*result, **more):
    data = {"resultType": "matrix", "result": list(result)}
    return json.dumps({"status": "success", "data": data, **more}).encode()


def pull(body, question=None):
    with Wire(says(body)) as wire:
        return Prometheus(wire.url, tape=Live()).pull(question or ask())


DAMAGE = {
    "not_configured": (None, "not_configured"),
    "hang": (hangs, "timeout"),
    "drip": (drips(HEAD, b" " * 4000), "timeout"),
    "unavailable": (says(b"", status="503 Busy"), "http_503"),
    "login": (says(b"", status="401 No"), "auth"),
    "redirect": (says(b"", status="302 Found", more="Location: /\r\n"), "wrong_content"),
    "cut_without_length": (sends(HEAD + matrix(series((1, 5)))[:-9]), "truncated"),
    "html": (says(b"<html>", media="text/html"), "wrong_content"),
    "other_service": (says(b'{"data": []}'), "wrong_content"),
    "vector": (
        says(b'{"status":"success","data":{"resultType":"vector","result":[]}}'),
        "wrong_content",
    ),
    "odd_sample": (says(matrix({"metric": {}, "values": [[1]]})), "wrong_content"),
    "odd_series": (says(matrix("x", 5)), "wrong_content"),
    "not_a_number": (says(matrix(series((1, "five")))), "wrong_content"),
    "huge_time": (says(matrix({"metric": {}, "values": [[1e400, "1"]]})), "wrong_content"),
    "utf16": (says(matrix().decode().encode("utf-16")), "wrong_content"),
    "endless": (floods(HEAD, b" " * 65536), "too_large"),
    "rejected": (says(b'{"status":"error","error":"bad"}', status="400 Bad"), "http_400"),
    "nothing": (says(matrix()), "empty"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("condition", DAMAGE)
def test_damage_is_missing_never_zero(condition, tmp_path):
    """Whatever is wrong gives no sample, one word and a hint; and plays back as the same."""
    answer, word = DAMAGE[condition]
    with Wire(answer or hangs) as wire:
        tape = Recording(tmp_path / "tape")
        limits = Limits(deadline_s=0.5 if word == "timeout" else 20, max_bytes=200_000)
        source = Prometheus(wire.url if answer else "", tape=tape, limits=limits)
        live = source.pull(ask())
    again = Prometheus("", tape=Playback(tmp_path / "tape")).pull(ask())
    for frame in (live, again):
        assert (len(frame), frame.missing) == (0, word)
        assert frame.hint
    assert (again.hint, again.origin) == (live.hint, live.origin)


def test_one_request_asks_for_raw_samples():
    """All names go in one range selector at the window's end, one second longer than the window."""
    metrics = ("up", "outbox_es_bulk_request_duration_seconds", "up")
    question = Question(
        signal=Signal.METRICS,
        window=WINDOW,
        metrics=metrics,
        scope=Scope(env="dev", projection="x"),
    )
    with Wire(says(matrix())) as wire:
        Prometheus(wire.url, tape=Live()).pull(question)
        assert len(wire.requests) == 1
        form = parse_qs(wire.requests[0].partition(b"\r\n\r\n")[2].decode())
    duration = "outbox_es_bulk_request_duration_seconds"
    names = f"{duration}_bucket|{duration}_count|{duration}_sum|up"
    assert form["query"] == [f'{{__name__=~"{names}",env="dev"}}[11s]']
    assert float(form["time"][0]) == WINDOW.end.timestamp()


def test_window_is_half_open():
    """A sample at the start belongs to the window, one at the end does not."""
    frame = pull(matrix(series((-1, 1), (0, 2), (9.999, 3), (10, 4))))
    assert frame.data.iloc[:, 0].tolist() == [2.0, 3.0]
    assert frame.data.index[0] == START


def test_labels_land_on_contract_levels():
    """Reason and projection are canonical, the rest stands in `extra`, absent is empty."""
    frame = pull(matrix(series((1, 5), reason="es_429", projection="search", job="j", op="upsert")))
    assert frame.data.columns[0] == (
        FAILED,
        "w",
        "dev",
        SEARCH,
        "upsert",
        "rate_limited",
        "",
        "job=j",
    )


def test_resets_stay_visible():
    """Raw values come back in order of time: a counter that fell is not smoothed."""
    frame = pull(matrix(series((3, 1), (1, 7), (2, 9))))
    assert frame.data.iloc[:, 0].tolist() == [7.0, 9.0, 1.0]


def test_two_spellings_of_a_reason_add_up():
    """`es_connect` and `es_unreachable` of one counter are one series."""
    frame = pull(
        matrix(series((1, 2), reason="es_connect"), series((1, 3), reason="es_unreachable"))
    )
    assert frame.data.to_numpy().tolist() == [[5.0]]


def test_projection_of_the_scope_is_kept_alone():
    """Another projection is left out; a series without projection, like `up`, stays."""
    body = matrix(
        series((1, 1), projection="chronicle_events_to_entries"),
        series((1, 2), projection=SEARCH),
        series((1, 3), __name__="up"),
    )
    frame = pull(body, ask(scope=Scope(projection="search")))
    assert frame.data.to_numpy().tolist() == [[2.0, 3.0]]


def test_warnings_and_age_become_caveats():
    """What the server warns of, and samples older than three intervals, are said."""
    fresh = pull(matrix(series(*((at, 1) for at in range(10)))))
    stale = pull(matrix(series(*((at, 1) for at in range(5)))), ask())
    warned = pull(matrix(series((1, 1)), warnings=["one store is down"]))
    partial = pull(matrix(series((1, 1)), isPartial=True))
    whole = pull(matrix(series((1, 1)), isPartial=False, stats={"seriesFetched": "1"}))
    assert fresh.caveats == whole.caveats == ()
    assert stale.caveats[0].startswith("stale: ")
    assert "one store is down" in warned.caveats[0]
    assert partial.caveats[0].startswith("partial: ")


def test_played_back_sources_do_without_the_client(tmp_path):
    """Evidence that is played back never loads the client or its HTTP library."""
    code = (
        "import sys; from datetime import UTC, datetime, timedelta; from pathlib import Path\n"
        "from loomtriage.model import Signal, Window; from loomtriage.sources import *\n"
        "window = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))\n"
        "question = Question(signal=Signal.METRICS, window=window, metrics=('up',))\n"
        f"print(playback(Path({str(tmp_path)!r})).metrics.pull(question).missing)\n"
        "print({'requests', 'prometheus_api_client'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["not_recorded", "set()"]


def test_probe_counts_targets():
    """The probe says how many targets are up, and what to do when nobody answers."""
    result = [{"metric": {"instance": i}, "value": [T0, v]} for i, v in (("a", "1"), ("b", "0"))]
    body = {"status": "success", "data": {"resultType": "vector", "result": result}}
    with Wire(says(json.dumps(body).encode())) as wire:
        found = Prometheus(wire.url, tape=Live()).probe()
    assert (found.state, "1 of 2" in found.says) == (State.OK, True)
    gone = Prometheus(wire.url, tape=Live()).probe()
    assert (gone.state, "refused" in gone.says) == (State.NO_DATA, True)
