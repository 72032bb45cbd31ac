"""The span store finds exactly the traces that one of their spans makes match."""

from __future__ import annotations

import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loomtriage.lab.otlp.spanstore import SpanStore, TraceQuery
from loomtriage.lab.otlp.times import read_duration_ns, read_instant_ns
from tests.lab.otlp.spans import BASE_NS, export


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    store = SpanStore(tmp_path / "spans")
    yield store
    store.close()


def _ids(traces):
    return [int.from_bytes(trace[0].span.trace_id, "big") for trace in traces]


def test_malformed_spans_are_refused_and_the_others_kept(store):
    """A span without a proper id or time is counted as refused and spoils no other."""
    request = export({"trace": 1}, {"trace": 2}, {"trace": 3}, {"trace": 4})
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[0].trace_id = b"short"
    spans[1].span_id = bytes(8)
    spans[2].start_time_unix_nano = 2**64 - 1
    assert store.add(request) == 3
    assert _ids(store.find(TraceQuery())) == [4]


def test_a_span_that_arrives_twice_is_kept_once(store):
    """An exporter that tries again makes no second span."""
    store.add(export({"trace": 1}))
    store.add(export({"trace": 1}))
    assert len(store.trace("1")) == 1


def test_traces_come_newest_first_and_the_limit_counts_traces(store):
    """The limit cuts whole traces from the old end, however many spans each has."""
    for n in range(1, 6):
        store.add(export(*({"trace": n, "span": s, "at_s": n} for s in range(1, 4))))
    found = store.find(TraceQuery(limit=2))
    assert _ids(found) == [5, 4]
    assert [len(trace) for trace in found] == [3, 3]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"service": "svc"}, [2, 1]),
        ({"service": "nobody"}, []),
        ({"operation": "slow"}, [2]),
        ({"kind": "client"}, [1]),
        ({"min_ns": 1_000_000_000}, [2]),
        ({"max_ns": 1_000_000_000}, [1]),
        ({"start_ns": BASE_NS + 1}, [2]),
        ({"end_ns": BASE_NS}, [1]),
        ({"attributes": {"a": "x", "b": "5"}}, [1]),
        ({"attributes": {"a": "x", "c": "true"}}, []),
        ({"attributes": {"error": "true"}}, [2]),
        ({"attributes": {"host": "h"}}, [2, 1]),
        ({"attributes": {"a": "x' OR 1=1 --"}}, []),
        ({"service": "' OR 1=1 --"}, []),
    ],
)
def test_every_condition_narrows(store, query, wanted):
    """All conditions must hold on one span of a trace, and nothing is ever read as SQL."""
    store.add(
        export(
            {"trace": 1, "kind": 3, "attributes": {"a": "x", "b": 5}},
            {"trace": 1, "span": 2, "kind": 3, "attributes": {"a": "y", "c": True}},
            {"trace": 2, "name": "slow", "at_s": 5, "took_s": 2, "error": "no"},
            host="h",
        )
    )
    assert _ids(store.find(TraceQuery(**query))) == wanted


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(held=st.tuples(TEXTS, TEXTS), asked=st.tuples(TEXTS, TEXTS))
def test_an_attribute_matches_only_itself(tmp_path_factory, held, asked):
    """A search by attribute finds its own pair and no other, whatever characters they hold."""
    store = SpanStore(tmp_path_factory.mktemp("s"))
    store.add(export({"trace": 1, "attributes": {"k": "v", held[0]: held[1]}}))
    plain = [text.replace("\x01", "").replace("\x02", "") for text in (*held, *asked)]
    others = {("k", "v"), ("service.name", "svc"), ("span.kind", "internal")}
    others |= {("otel.scope.name", "test.scope")}
    same = tuple(plain[:2]) == tuple(plain[2:]) or tuple(plain[2:]) in others
    assert bool(store.find(TraceQuery(attributes=dict([held])))) is True
    assert bool(store.find(TraceQuery(attributes=dict([asked])))) is same
    store.close()


def test_spans_outlive_the_receiver_and_belong_to_their_owner(tmp_path):
    """What was exported is there after a restart, in a file that nobody else may read."""
    first = SpanStore(tmp_path)
    first.add(export({"trace": 7}))
    first.close()
    second = SpanStore(tmp_path)
    assert _ids(second.find(TraceQuery())) == [7]
    second.add(export({"trace": 8}))
    assert second.services() == ["svc"]
    second.close()
    assert stat.S_IMODE((tmp_path / "traces.sqlite").stat().st_mode) == 0o600


def test_the_oldest_traces_go_when_the_store_is_full(tmp_path):
    """The store keeps within its bound by dropping whole old traces."""
    store = SpanStore(tmp_path, max_spans=20)
    for n in range(1, 41):
        store.add(export({"trace": n, "at_s": n}, {"trace": n, "span": 2, "at_s": n}))
    found = store.find(TraceQuery())
    assert _ids(found)[0] == 40
    assert 1 not in _ids(found)
    assert all(len(trace) == 2 for trace in found)
    assert 5 <= len(found) <= 10
    store.close()


def test_services_and_operations_are_listed_once(store):
    """Each service and each operation with its kind appears once, sorted."""
    store.add(export({"trace": 1, "name": "b"}, {"trace": 2, "name": "a"}, service="two"))
    store.add(export({"trace": 3, "name": "b", "kind": 3}, {"trace": 4, "name": "b"}))
    assert store.services() == ["svc", "two"]
    assert store.operations("svc") == [("b", "client"), ("b", "internal")]
    assert store.operations("svc", "client") == [("b", "client")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5s", 1_500_000_000),
        ("1h2m3ms", 3_720_003_000_000),
        ("2µs", 2_000),
        ("100ns", 100),
        ("5", None),
        ("s", None),
        ("-1s", None),
        ("1s x", None),
        ("", None),
    ],
)
def test_durations_are_those_of_go(text, expected):
    """A Go duration is read to the nanosecond, anything else is refused."""
    if expected is not None:
        assert read_duration_ns(text) == expected
        return
    with pytest.raises(ValueError, match="invalid duration"):
        read_duration_ns(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T00:00:00Z", BASE_NS),
        ("2026-01-01T01:00:00.123456789+01:00", BASE_NS + 123_456_789),
        ("2026-01-01T00:00:00", None),
        ("2026-13-01T00:00:00Z", None),
        ("1767225600", None),
    ],
)
def test_instants_need_a_time_zone(text, expected):
    """An RFC 3339 instant is read to the nanosecond, one without a zone is refused."""
    if expected is not None:
        assert read_instant_ns(text) == expected
        return
    with pytest.raises(ValueError, match=r"RFC 3339|month"):
        read_instant_ns(text)
