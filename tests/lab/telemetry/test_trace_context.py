"""Correlation ids: taken whole, carried in tracestate, harmless when hostile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace.span import TraceState

from loomtriage.lab.telemetry.trace_context import (
    MAX_ID_CHARS,
    choose,
    correlation_of,
    is_acceptable,
    link_of,
    parent_of,
    to_tracestate,
)

PRINTABLE = st.text(alphabet=[chr(code) for code in range(0x20, 0x7F)], min_size=1, max_size=140)
TRACEPARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.mark.parametrize(
    ("header", "cid", "value", "refused"),
    [
        ("req-1", None, "req-1", False),
        (None, "c-7", "c-7", False),
        ("req-1", "c-7", "req-1", False),  # the header wins
        (None, None, "fresh", False),
        ("", "", "fresh", False),
        ("a" * MAX_ID_CHARS, None, "a" * MAX_ID_CHARS, False),
        ("a" * (MAX_ID_CHARS + 1), None, "fresh", True),
        ("a\tb", None, "fresh", True),
        ("naïve", None, "fresh", True),
        (" padded", None, "fresh", True),
        ("x\r\nSet-Cookie: a=b", None, "fresh", True),
        ("bad\x00", "c-7", "c-7", True),
        ("," * 100, None, "fresh", True),  # 100 * 3 characters once encoded: more than W3C takes
        ("a,b=c d", None, "a,b=c d", False),  # odd but printable: encoded, not refused
    ],
)
def test_an_id_is_taken_whole_or_not_at_all(header, cid, value, refused):
    """An acceptable id is kept to the letter, any other is replaced and said to be refused."""
    found = choose(header, cid=cid, fresh=lambda: "fresh")
    assert (found.value, found.refused) == (value, refused)


@given(PRINTABLE)
def test_accepted_ids_survive_the_tracestate(raw):
    """What goes into a row comes out of it, and any W3C reader keeps the member."""
    if not is_acceptable(raw):
        return
    state = to_tracestate(raw, inherited="vendor=1")
    assert correlation_of(state) == raw
    assert list(TraceState.from_header([state])) == ["wordloom", "vendor"]


@given(st.text(max_size=400))
def test_no_tracestate_breaks_the_reader(text):
    """A row's tracestate may hold anything: the answer is an acceptable id or none."""
    found = correlation_of(text)
    assert found == "" or is_acceptable(found)


@pytest.mark.parametrize(
    ("tracestate", "expected"),
    [
        (None, ""),
        ("", ""),
        ("other=1", ""),
        ("wordloom=", ""),
        ("wordloom=a%0d%0ab", ""),  # smuggled line break
        ("wordloom=" + "a" * 500, ""),
        ("v=1, wordloom=req-1", "req-1"),
        ("wordloom=a%2Cb", "a,b"),
    ],
)
def test_reader_takes_only_what_the_writer_could_have_written(tracestate, expected):
    """A member that we would not have accepted as an id is no id."""
    assert correlation_of(tracestate) == expected


def test_a_flood_of_inherited_members_cannot_push_ours_out():
    """Ours is first, and the column stays short even when the caller sends the W3C maximum."""
    flood = ",".join(f"k{number}={'v' * 200}" for number in range(32))
    state = to_tracestate("req-1", inherited=flood)
    assert correlation_of(state) == "req-1"
    assert len(state) <= 1024


@pytest.mark.parametrize(
    "traceparent", [None, "", "nonsense", "00-" + "0" * 32 + "-" + "b" * 16 + "-01", "x" * 600]
)
def test_a_bad_traceparent_is_no_parent(traceparent):
    """A row without a valid traceparent starts a trace of its own and is linked to none."""
    assert parent_of(traceparent, tracestate="wordloom=a") is None
    assert link_of(parent_of(traceparent, tracestate=None)) == ()


def test_a_good_traceparent_can_be_linked():
    """The link points to the very span that wrote the row."""
    (link,) = link_of(parent_of(TRACEPARENT, tracestate="wordloom=a"))
    assert (link.context.trace_id, link.context.span_id) == (int("a" * 32, 16), int("b" * 16, 16))
