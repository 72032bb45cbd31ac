"""An id joins what carries it, over keys that both sides have, and nothing of its neighbours."""

from __future__ import annotations

import pandas as pd
import pytest

from loomtriage.analysis.pivots import join, typed
from loomtriage.model.frame import ROW_COLUMNS
from tests.make import at, line, lines, span, spans

ROW = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
API, BATCH = "a" * 32, "b" * 32
CORRELATION = "wordloom.correlation_id"


def row(own, **more):
    values = {"id": own, "entity_id": "e-1", "trace_id": API, "correlation_id": "c-1"}
    return dict.fromkeys(ROW_COLUMNS, "") | {"created_at": at(40)} | values | more


def rows(*found):
    return pd.DataFrame(list(found), columns=list(ROW_COLUMNS))


def ours(*, correlated=True):
    """A request with its row, processed in one batch with a row of another request."""
    mine = {CORRELATION: "c-1"} if correlated else {}
    other = {CORRELATION: "c-2"} if correlated else {}
    told = spans(
        span(API, "a1", "POST /blocks", service="wordloom-api", attributes={CORRELATION: "c-1"}),
        span(BATCH, "b1", "projection.process_batch", start=41),
        span(
            BATCH, "b2", "outbox.process", parent="b1", start=41.1,
            attributes={"wordloom.outbox_event_id": ROW, "links": [API], **mine},
        ),
        span(BATCH, "b3", "PUT", parent="b2", start=41.2),
        span(
            BATCH, "b4", "outbox.process", parent="b1", start=41.3,
            attributes={"wordloom.outbox_event_id": OTHER, **other},
        ),
        span(BATCH, "b5", "PUT", parent="b4", start=41.4),
    )  # fmt: skip
    said = lines(
        line("http.response", trace_id=API, fields={"correlation_id": "c-1"}),
        line(f"Failed to process outbox event {ROW}", seconds=41, trace_id=BATCH, span_id="b2"),
        line(f"Failed to process outbox event {OTHER}", seconds=42, trace_id=BATCH, span_id="b4"),
        line("projection.process_batch", seconds=43, trace_id=BATCH, span_id="b1"),
    )
    other_row = row(OTHER, trace_id="c" * 32, correlation_id="c-2" if correlated else "")
    written = rows(row(ROW, correlation_id="c-1" if correlated else ""), other_row)
    return {"spans": told, "lines": said, "rows": written}


@pytest.mark.parametrize("correlated", [True, False])
@pytest.mark.parametrize(
    ("value", "meant"),
    [("c-1", "correlation_id"), (API, "trace_id"), (ROW.upper(), "outbox_event_id")],
)
def test_every_direction_finds_the_same(value, meant, correlated):
    """From request, trace or row: the same spans, row and lines, and none of the neighbour's."""
    wanted, names = typed(value)
    found = join(wanted, names, **ours(correlated=correlated))
    assert found.meant == (meant,)
    assert found.spans["span_id"].tolist() == ["a1", "b2", "b3"]
    assert found.rows["id"].tolist() == [ROW]
    assert found.lines["line"].count() == 2
    assert not any(OTHER in text for text in found.lines["message"])


def test_each_join_says_its_key():
    """What carries the id itself is told from what a bridge led to."""
    found = join("c-1", ("correlation_id",), **ours(correlated=False))
    assert found.spans["by"].tolist() == ["correlation_id", "outbox_event_id", "span_tree"]
    assert found.rows["by"].tolist() == ["trace_id"]
    assert found.lines["by"].tolist() == ["correlation_id", "outbox_event_id"]


def test_a_batch_trace_leads_to_all_of_its_requests():
    """Who types the trace of a batch means the whole batch."""
    found = join(BATCH, ("trace_id",), **ours())
    assert len(found.spans) == 6
    assert found.rows["id"].tolist() == [ROW, OTHER]


def test_a_span_leads_to_its_request():
    """A span's id finds the row that it worked on, and the request behind it."""
    found = join("b2", ("span_id",), **ours())
    assert found.rows["id"].tolist() == [ROW]
    assert "a1" in found.spans["span_id"].tolist()


def test_an_entity_leads_to_all_of_its_rows():
    """An entity id means every row of that entity, since each is a change of it."""
    assert len(join("e-1", ("entity_id",), **ours()).rows) == 2


@pytest.mark.parametrize("value", ["c-3", "", "d" * 32])
def test_what_is_nowhere_joins_nothing(value):
    """An id that nothing carries means nothing and finds nothing."""
    found = join(value, typed(value)[1], **ours())
    assert (found.meant, len(found.spans), len(found.rows), len(found.lines)) == ((), 0, 0, 0)


def test_without_a_surer_key_the_entity_is_the_bridge():
    """Rows that name neither request nor trace are reached by entity, and lead to no stranger."""
    evidence = ours(correlated=False)
    fields = {"correlation_id": "c-1", "entity_id": "e-1"}
    said = lines(
        line("usecase.outcome", fields=fields),
        line("usecase.outcome", fields=fields | {"correlation_id": "c-9"}),
    )
    written = rows(row(ROW, trace_id="", correlation_id=""))
    for attributes in evidence["spans"]["attributes"]:
        attributes.pop("links", None)
    found = join("c-1", ("correlation_id",), **evidence | {"lines": said, "rows": written})
    assert found.rows["by"].tolist() == ["entity_id"]
    assert found.spans["span_id"].tolist() == ["a1", "b2", "b3"]
    assert len(found.lines) == 1


def test_nothing_at_all_is_no_failure():
    """Sources without data join to empty tables of the usual shape."""
    found = join("c-1", ("correlation_id",), spans=spans(), lines=lines(), rows=rows())
    assert (found.meant, "by" in found.spans, found.ids) == ((), True, {})


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (API, "trace_id"),
        (f"00-{API}-{'1' * 16}-01", "trace_id"),
        ("0123456789ABCDEF", "span_id"),
        (f" {ROW} ", "correlation_id"),
        ("checkout 42", "correlation_id"),
    ],
)
def test_the_form_says_what_an_id_may_be(text, first):
    """Hex of 32 digits is a trace first, of 16 a span; anything else may be a request's id."""
    assert typed(text)[1][0] == first
