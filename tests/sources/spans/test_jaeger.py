"""Trace documents are read alike in both forms, whatever their shape."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomtriage.sources.spans.jaeger import read_traces
from loomtriage.sources.tape import Unreadable
from tests.sources.documents import attrs, otlp, span


@pytest.mark.parametrize(
    ("name", "more", "error"),
    [
        ("PUT", {"status": {"code": 2, "message": "boom"}}, True),
        ("PUT", {"status": {"code": "STATUS_CODE_ERROR"}}, True),
        ("PUT", {"attributes": attrs(error=True)}, True),
        ("PUT", {"attributes": attrs(error="true", http__status_code=404)}, True),
        ("DELETE", {"status": {"code": 2}, "attributes": attrs(http__status_code=404)}, False),
        ("DELETE", {"status": {"code": 2}, "attributes": attrs(http__status_code=403)}, True),
        ("PUT", {"status": {}, "attributes": attrs(http__status_code=200)}, False),
    ],
)
def test_error_is_a_failure_and_not_the_404_of_a_delete(name, more, error):
    """Status ERROR or tag `error`, except for a delete of what is gone."""
    (read,) = read_traces(otlp(span(1, name=name, **more))).spans
    assert read.error == error


def test_events_and_links_become_attributes():
    """The last exception and the linked trace ids can be read from the attributes."""
    events = [{"name": "exception", "attributes": attrs(exception__type="httpx.ConnectError")}]
    (read,) = read_traces(otlp(span(1, events=events, links=[{"traceId": "2" * 32}]))).spans
    assert read.attributes["exception.type"] == "httpx.ConnectError"
    assert read.attributes["links"] == ["2" * 32]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    [
                        "result",
                        "resourceSpans",
                        "resource",
                        "scopeSpans",
                        "spans",
                        "attributes",
                        "key",
                        "value",
                        "data",
                        "traceID",
                        "spanID",
                        "traceId",
                        "spanId",
                        "name",
                        "startTime",
                        "duration",
                        "startTimeUnixNano",
                        "endTimeUnixNano",
                        "processes",
                        "tags",
                        "references",
                        "events",
                        "links",
                        "status",
                    ]
                ),
                inner,
                max_size=5,
            ),
        ),
        max_leaves=25,
    )
)
def test_any_document_is_read_or_refused(document):
    """A document of any shape gives spans or one word, never a crash."""
    with suppress(Unreadable):
        read_traces(json.dumps(document).encode())
