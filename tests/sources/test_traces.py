"""The trace source reads both Jaeger forms alike, and never takes damage for silence."""

from __future__ import annotations

from datetime import timedelta

import pytest

from loomtriage.model import Scope, Signal, State
from loomtriage.sources import Live, Playback, Question, Recording, Traces
from loomtriage.sources.http import Limits
from tests.sources.documents import SERVICE, START, WINDOW, attrs, old, old_span, otlp, span
from tests.sources.wire import Wire, drips, hangs, says, sends

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
NONE_V3 = says(
    b'{"error": {"httpCode": 404, "message": "No traces found"}}', status="404 Not Found"
)
NONE_OLD = says(b'{"data": null, "errors": [{"code": 404}]}', status="404 Not Found")
PAGE = says(b"<!doctype html><div id=root>", media="text/html")
UNKNOWN = says(b'{"detail":"Not Found"}', status="404 Not Found")
ASKED = Question(signal=Signal.TRACES, window=WINDOW, service=SERVICE, limit=2)


def pull(*answers, question=ASKED):
    with Wire(*answers) as wire:
        frame = Traces(wire.url, tape=Live()).pull(question)
        return frame, [r.split(b" ")[1].partition(b"?")[0].decode() for r in wire.requests]


DAMAGE = {
    "not_configured": (None, "not_configured"),
    "hang": (hangs, "timeout"),
    "drip": (drips(HEAD, b" " * 4000), "timeout"),
    "unavailable": (says(b"", status="503 Busy"), "http_503"),
    "login": (says(b"", status="401 No"), "auth"),
    "cut_without_length": (sends(HEAD + otlp(span(1))[:-9]), "truncated"),
    "html_everywhere": (PAGE, "wrong_content"),
    "unknown_path": (UNKNOWN, "http_404"),
    "metrics_answer": (says(b'{"status":"success","data":{"result":[]}}'), "wrong_content"),
    "only_broken_spans": (says(otlp({"traceId": "zz"})), "wrong_content"),
    "nothing_v3": (NONE_V3, "empty"),
    "nothing": (says(b'{"result":{}}'), "empty"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("condition", DAMAGE)
def test_damage_is_missing_never_silence(condition, tmp_path):
    """Whatever is wrong gives no span, one word and a hint; and plays back as the same."""
    answer, word = DAMAGE[condition]
    with Wire(answer or hangs) as wire:
        tape = Recording(tmp_path / "tape")
        url = wire.url if answer else ""
        limits = Limits(deadline_s=0.5 if word == "timeout" else 20)
        live = Traces(url, tape=tape, limits=limits).pull(ASKED)
    again = Traces("", tape=Playback(tmp_path / "tape")).pull(ASKED)
    for frame in (live, again):
        assert (len(frame), frame.missing) == (0, word)
        assert frame.hint


def test_v3_not_found_is_an_answer():
    """Jaeger's own 404 means none, so the older search is not tried; its own 404 means the same."""
    assert pull(NONE_V3)[1] == ["/api/v3/traces"]
    frame, paths = pull(UNKNOWN, NONE_OLD)
    assert (frame.missing, len(paths)) == ("empty", 2)


@pytest.mark.parametrize("absent", [PAGE, UNKNOWN, says(b"404 page not found", status="404 No")])
def test_without_v3_the_older_search_answers(absent):
    """A page of the user interface or a foreign 404 in v3's place leads to the older search."""
    frame, paths = pull(absent, says(old(old_span(1, http__status_code=200))))
    assert paths == ["/api/v3/traces", "/api/traces"]
    assert len(frame) == 1


def test_both_forms_give_the_same_rows():
    """One span in OTLP and in the older form is the same row."""
    new, _ = pull(
        says(otlp(span(1, parentSpanId=f"{9:016x}", attributes=attrs(http__status_code=429))))
    )
    older, _ = pull(PAGE, says(old(old_span(1, http__status_code=429, span__kind="client"))))
    columns = [c for c in new.data.columns if c != "attributes"]
    assert new.data[columns].equals(older.data[columns])
    for frame in (new, older):
        assert frame.data["attributes"][0]["http.status_code"] == 429
        assert frame.data["duration_s"][0] == 0.25
        assert frame.data["start"][0] == START + timedelta(seconds=1)


def test_spans_of_the_window_once_each_in_order():
    """Spans outside the window go, repeated ones are counted, the rest stands by start."""
    many = (span(3, at=3), span(1, at=1), span(1, at=1), span(8, at=-1), span(9, at=10))
    frame, _ = pull(says(otlp(*many)))
    assert frame.data["span_id"].tolist() == [f"{n:016x}" for n in (1, 3)]
    assert frame.caveats == ("1 repeated spans were left out (same trace id and span id).",)


def test_search_at_its_limit_says_truncated():
    """As many traces as the limit means that there may be more."""
    full, _ = pull(says(otlp(span(1), span(2, trace=2))))
    part, _ = pull(says(otlp(span(1), span(2))))
    assert full.caveats[0].startswith("truncated: ")
    assert part.caveats == ()


def test_projection_and_env_of_the_scope():
    """A span of another projection goes; a span that names none, like the API's, stays."""
    keep = span(1, attributes=attrs(projection="search"))
    drop = span(2, attributes=attrs(wordloom__projection="chronicle_events_to_entries"))
    scope = Scope(projection="search_index_to_elastic", env="dev")
    question = Question(signal=Signal.TRACES, window=WINDOW, service=SERVICE, scope=scope)
    other_env = span(3, attributes=attrs(wordloom__env="test"))
    frame, _ = pull(says(otlp(keep, drop, span(4), other_env)), question=question)
    assert frame.data["span_id"].tolist() == [f"{n:016x}" for n in (1, 4)]


def test_by_id_comes_back_whole():
    """Traces by id ignore the window; ids that are none are not asked for, and counted."""
    question = Question(
        signal=Signal.TRACES, window=WINDOW, trace_ids=("1", "AB", "../../x", "1", "2")
    )
    answers = (says(otlp(span(1, at=-99))), NONE_V3, UNKNOWN, says(old(old_span(7))))
    frame, paths = pull(*answers, question=question)
    assert paths == ["/api/v3/traces/1", "/api/v3/traces/2", "/api/v3/traces/ab", "/api/traces/ab"]
    assert len(frame) == 2
    assert "1 of 4 trace ids were not asked for" in frame.caveats[0]


def test_one_service_of_three_fails():
    """Without a service all are asked; what the others gave is kept, and called partial."""
    question = Question(signal=Signal.TRACES, window=WINDOW)
    frame, paths = pull(
        says(otlp(span(1))), says(b"<x", status="400 Bad"), NONE_V3, question=question
    )
    assert (len(paths), len(frame)) == (3, 1)
    assert frame.caveats[0].startswith("partial: 1 of 3 services")


def test_probe_names_services():
    """The probe says how many services are known, also on an older server."""
    with Wire(PAGE, says(b'{"data": null, "total": 0}')) as wire:
        found = Traces(wire.url, tape=Live()).probe()
    assert (found.state, "knows 0 services" in found.says) == (State.OK, True)
