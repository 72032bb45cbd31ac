"""Targets, exemplars and alerts of a metrics server: each a table of its own, missing by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest

from loomtriage.model import Kind, Scope, Signal, Window
from loomtriage.model.frame import COLUMNS
from loomtriage.sources import Live, Playback, Prometheus, Question, RawAnswer, Recording
from tests.sources.wire import Wire, says

START = datetime(2026, 2, 14, 14, 0, tzinfo=UTC)
T0 = START.timestamp()
WINDOW = Window(START, START + timedelta(seconds=60))
TRACE = "0af7651916cd43dd8448eb211c80319c"


def ask(about, **more):
    return Question(
        signal=Signal.METRICS, window=WINDOW, about=about, metrics=("outbox_failed_total",), **more
    )


def pull(about, data, **more):
    """The frame, and where it was asked."""
    with Wire(says(json.dumps({"status": "success", "data": data}).encode())) as wire:
        frame = Prometheus(wire.url, tape=Live()).pull(ask(about, **more))
        return frame, wire.requests[-1].split(b" ")[1].decode()


def target(instance="w:9108", health="up", env="dev", **more):
    labels = {"job": "wordloom-worker", "instance": instance, "env": env}
    scraped = "2026-02-14T14:00:59.123456789+08:00"
    return {
        "labels": labels,
        "scrapeUrl": f"http://{instance}/metrics",
        "health": health,
        "lastScrape": scraped,
    } | more


def test_targets_say_what_is_down_and_why():
    """One row a target, with the server's own error; time in UTC, NaT when never scraped."""
    down = target(
        "v:9108",
        "down",
        lastError="connection refused\nat once",
        lastScrape="0001-01-01T00:00:00Z",
    )
    frame, asked = pull(Kind.TARGETS, {"activeTargets": [target(), down], "droppedTargets": []})
    assert urlsplit(asked).path == "/api/v1/targets"
    assert frame.data["instance"].tolist() == ["v:9108", "w:9108"]
    assert frame.data["health"].tolist() == ["down", "up"]
    assert frame.data["last_error"].tolist() == ["connection refused at once", ""]
    assert pd.isna(frame.data["last_scrape"][0])
    assert frame.data["last_scrape"][1] == pd.Timestamp("2026-02-14T06:00:59.123456Z")
    assert frame.data["labels"][1]["env"] == "dev"


def test_targets_of_the_scope_alone():
    """Another env is left out."""
    both = {"activeTargets": [target(), target("x:1", env="test")]}
    frame, _ = pull(Kind.TARGETS, both, scope=Scope(env="test"))
    assert frame.data["instance"].tolist() == ["x:1"]


def exemplar(at, value="1", **labels):
    return {"labels": labels, "value": value, "timestamp": T0 + at}


def test_exemplars_lead_to_traces():
    """Trace ids in any spelling, in the window, by time; those without one are counted."""
    series = {
        "seriesLabels": {"__name__": "outbox_failed_total", "reason": "es_429"},
        "exemplars": [
            exemplar(9, traceID=TRACE.upper()),
            exemplar(3, "2.5", trace_id=TRACE),
            exemplar(4, user="x"),
            exemplar(60, trace_id=TRACE),
        ],
    }
    frame, asked = pull(Kind.EXEMPLARS, [series], scope=Scope(env="dev"))
    form = parse_qs(urlsplit(asked).query)
    assert urlsplit(asked).path == "/api/v1/query_exemplars"
    assert form["query"] == ['{__name__="outbox_failed_total",env="dev"}']
    assert frame.data["trace_id"].tolist() == [TRACE, TRACE]
    assert frame.data["value"].tolist() == [2.5, 1.0]
    assert frame.data["ts"][0] == pd.Timestamp(START + timedelta(seconds=3))
    assert frame.data["labels"][0] == {"reason": "rate_limited"}
    assert frame.caveats == ("1 exemplars without trace id were left out.",)


def alert(state, *at, name="LagHigh", **labels):
    metric = {"__name__": "ALERTS", "alertname": name, "alertstate": state, **labels}
    return {"metric": metric, "values": [[T0 + moment, "1"] for moment in at]}


def test_alerts_tell_when_they_began():
    """First pending and first firing evaluation in the window, one row an alert, in order."""
    result = [
        alert("firing", 30, 31, 32, env="dev"),
        alert("pending", 20, 21, env="dev"),
        alert("firing", 5, name="WorkerDown"),
        alert("pending", 25, env="test"),
        alert("firing", 60, name="TooLate"),
    ]
    data = {"resultType": "matrix", "result": result}
    frame, _ = pull(Kind.ALERTS, data, scope=Scope(env="dev"))
    assert frame.data["alert"].tolist() == ["WorkerDown", "LagHigh"]
    assert pd.isna(frame.data["pending_at"][0])
    row = frame.data.loc[1]
    moments = (row["pending_at"], row["firing_at"], row["last_at"])
    assert [(moment - START).total_seconds() for moment in moments] == [20, 30, 32]
    assert row["labels"] == {"env": "dev"}


ABOUT = (Kind.TARGETS, Kind.EXEMPLARS, Kind.ALERTS)


@pytest.mark.parametrize("about", ABOUT)
@pytest.mark.parametrize("body", [b"<html>", b'{"data": 5}', b'{"data": [5]}', b'{"data": {}}'])
def test_another_shape_is_wrong_content(about, body, tmp_path):
    """What is no such answer gives an empty frame with its columns; and plays back as the same."""
    with Wire(says(body)) as wire:
        live = Prometheus(wire.url, tape=Recording(tmp_path / "t")).pull(ask(about))
    again = Prometheus("", tape=Playback(tmp_path / "t")).pull(ask(about))
    for frame in (live, again):
        assert (frame.kind, len(frame), frame.missing) == (about, 0, "wrong_content")
        assert tuple(frame.data.columns) == COLUMNS[about]
        assert frame.hint


@pytest.mark.parametrize(
    ("about", "word"),
    [
        (Kind.TARGETS, "not_supported"),
        (Kind.EXEMPLARS, "not_supported"),
        (Kind.ALERTS, "http_404"),
    ],
)
def test_older_servers_are_missing_by_name(about, word):
    """A server without the endpoint says so in one word; samples still come from it."""
    with Wire(says(b"404 page not found", status="404 Not Found")) as wire:
        frame = Prometheus(wire.url, tape=Live()).pull(ask(about))
    assert (frame.missing, "404" in frame.hint) == (word, True)


@pytest.mark.parametrize("about", ABOUT)
def test_files_hold_samples_only(about):
    """Evidence that stands in files has no server to ask for these."""
    source = Prometheus("", tape=Live(), ask=lambda question: RawAnswer(body=b"{}"))
    frame = source.pull(ask(about))
    assert (frame.missing, str(about) in frame.hint) == ("not_recorded", True)


def test_keys_keep_kinds_apart():
    """Each kind has its own key; targets are as of now, so no window stands in theirs."""
    keys = {ask(about).key for about in (None, *ABOUT)}
    assert len(keys) == 4
    later = Window(START, START + timedelta(hours=1))
    other = Question(signal=Signal.METRICS, window=later, about=Kind.TARGETS)
    assert other.key == ask(Kind.TARGETS).key
