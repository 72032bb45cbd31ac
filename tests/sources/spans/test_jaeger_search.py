"""A search that saturates is halved, failing traces are not lost, and what is cut off is said."""

from __future__ import annotations

import json
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from loomtriage.model import Signal
from loomtriage.sources import Live, Question, Traces
from loomtriage.sources.spans import jaeger_search
from tests.sources.documents import NS, SERVICE, WINDOW, attrs, old, old_span, otlp, span
from tests.sources.wire import Wire, says

NONE = b'{"error": {"httpCode": 404, "message": "No traces found"}}'


def asked(**more):
    return Question(signal=Signal.TRACES, window=WINDOW, **{"service": SERVICE, "limit": 4} | more)


def params_of(request):
    return {k: v[0] for k, v in parse_qs(urlsplit(request.split(b" ")[1].decode()).query).items()}


def jaeger(held, *, reads_attributes=True, fails_after=None):
    """A server that holds spans and answers searches as Jaeger does, newest traces first."""
    count = 0

    def answer(connection, request):
        nonlocal count
        count += 1
        params = params_of(request)
        wanted = json.loads(params.get("query.attributes", "{}")) if reads_attributes else {}
        low, high = (
            datetime.fromisoformat(params[f"query.startTime{end}"]).timestamp() * 1e9
            for end in ("Min", "Max")
        )
        found = [
            one
            for one in held
            if low <= int(one["startTimeUnixNano"]) <= high
            and all(pair in one.get("attributes", []) for pair in attrs(**wanted))
        ]
        newest = sorted(found, key=lambda one: -int(one["startTimeUnixNano"]))
        body = otlp(*newest[: int(params["query.searchDepth"])])
        if fails_after is not None and count > fails_after:
            says(b"", status="400 Bad")(connection, request)
        elif found:
            says(body)(connection, request)
        else:
            says(NONE, status="404 Not Found")(connection, request)

    return answer


def pull(answer, question=None):
    with Wire(answer) as wire:
        frame = Traces(wire.url, tape=Live()).pull(question or asked())
        return frame, [params_of(request) for request in wire.requests]


def many(count):
    return [span(n, at=10 * (n - 0.5) / count, trace=n) for n in range(1, count + 1)]


def test_what_fits_is_asked_once():
    """A search below its limit is one request, and nothing is said."""
    frame, requests = pull(jaeger(many(3)))
    assert (len(frame), len(requests), frame.caveats) == (3, 1, ())


def test_a_saturated_search_is_halved_until_all_is_there():
    """Ten traces with a limit of four come back in full, once each, in bounded requests."""
    frame, requests = pull(jaeger(many(10)))
    assert frame.data["span_id"].nunique() == len(frame) == 10
    assert frame.caveats == ()
    assert len(requests) <= 1 + jaeger_search.MAX_HALVES


def test_what_stays_saturated_is_truncated_and_failures_are_kept():
    """More than all halves can give is said; the one failing trace is found all the same."""
    failing = span(999, at=0.011, trace=999, attributes=attrs(result="failed"))
    frame, requests = pull(jaeger([*many(400), failing]))
    assert f"{999:016x}" in set(frame.data["span_id"])
    (note,) = frame.caveats
    assert note.startswith("truncated: 8 of 8 searches of ")
    assert note.endswith("so their share is too high.")
    failures = len(jaeger_search.FAILING)
    assert len(requests) == 1 + jaeger_search.MAX_HALVES + failures


def test_many_traces_in_one_instant_cannot_be_halved():
    """Traces that all start together stay truncated, and asking ends."""
    together = [span(n, at=5, trace=n) for n in range(1, 9)]
    frame, requests = pull(jaeger(together))
    assert frame.caveats[0].startswith("truncated: ")
    assert len(requests) <= 1 + jaeger_search.MAX_HALVES + len(jaeger_search.FAILING)


def test_a_half_that_fails_leaves_the_whole():
    """When a half gives no data the whole search's traces are kept, and called truncated."""
    frame, _ = pull(jaeger(many(10), fails_after=1))
    assert len(frame) == 4
    assert [note.split(":")[0] for note in frame.caveats] == ["truncated"]


def test_attributes_are_asked_in_every_spelling_and_checked_again():
    """A server that ignores attributes changes nothing: only traces that carry them come back."""
    mine = span(2, trace=2, attributes=attrs(correlation_id="c-1"))
    rest = span(3, at=-5, trace=2)
    question = asked(attributes=(("correlation_id", "c-1"),), limit=50)
    for reads in (True, False):
        frame, requests = pull(jaeger([span(1), mine, rest], reads_attributes=reads), question)
        wanted = [json.loads(params["query.attributes"]) for params in requests]
        assert wanted == [{"wordloom.correlation_id": "c-1"}, {"correlation_id": "c-1"}]
        assert set(frame.data["trace_id"]) == {f"{2:032x}"}


def test_an_older_server_is_asked_by_tags():
    """Where v3 is not there, attributes go into `tags`, and a full answer is truncated too."""
    page = says(b"<!doctype html>", media="text/html")
    whole = says(old(old_span(1, **{"wordloom.entity_id": "e"})))
    question = asked(attributes=(("entity_id", "e"),), limit=1)
    with Wire(page, whole, page, whole, page, whole) as wire:
        frame = Traces(wire.url, tape=Live()).pull(question)
        last = params_of(wire.requests[1])
    assert json.loads(last["tags"]) == {"wordloom.entity_id": "e"}
    assert last["start"] == str(NS // 1000)
    assert frame.caveats[0].startswith("truncated: ")


def test_a_streamed_answer_counts_as_one():
    """Jaeger may send a search in pieces; together they may be at the limit."""
    pieces = b"\n".join(otlp(one) for one in many(4))
    frame, requests = pull(says(pieces))
    assert len(requests) > 1
    assert frame.caveats[0].startswith("truncated: ")
