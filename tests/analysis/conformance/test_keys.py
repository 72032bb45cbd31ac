"""Shared keys agree across signals, and pivots lead from one to the next, or the gap is said."""

from __future__ import annotations

from loomtriage.analysis.conformance.keys import (
    correlation_answer,
    key_values,
    keys_answer,
    short_projections,
    traces_answer,
)
from loomtriage.contract.keys import SEARCH
from loomtriage.contract.spans import API_SERVICE
from tests.analysis.conformance.test_gaps import ROW, row_span, work_series
from tests.make import line, lines, metrics, span, spans


def _keys(projection="", **fields):
    frame = metrics({work_series(): [0.0, 1.0]})
    table = spans(row_span(**({"projection": projection} if projection else {})))
    told = lines(line("x", event="projection.process_batch", fields={**ROW, **fields}))
    values = key_values(frame.data, table, told, inferred=frozenset())
    return [g.what for g in keys_answer(values, short_projections(table)).gaps]


def test_shared_keys_agree_across_signals():
    """Same env and projection everywhere; a short name or another env is a gap."""
    assert _keys(result="ok", reason="none") == ["no reason"]  # the counter has none here
    assert "env=prod, unknown to the other signals" in _keys(env="prod")
    assert f"projection search, elsewhere {SEARCH}" in _keys(projection="search")


def test_a_correlation_id_leads_to_trace_and_lines_or_the_gap_is_said():
    """Measured from the API's own lines."""
    api = line("r", event="http.response", fields={"correlation_id": "c1"}, trace_id="t")
    work = line("x", event="outbox.row_done", fields={**ROW, "correlation_id": "c1"})
    bare = line("x", event="outbox.row_done", fields=ROW)
    none = spans()
    assert correlation_answer(none, lines(api, work)).gaps == ()
    assert [g.what for g in correlation_answer(none, lines(api, bare)).gaps] == [
        "no way to the worker's lines"
    ]
    stops = correlation_answer(spans(row_span()), lines(bare))
    assert stops.gaps[0].what == "no correlation id on 1 spans and 1 lines of workers"
    on_api = span("t", "1", "PUT /x", service=API_SERVICE, kind="server")
    assert correlation_answer(spans(on_api), lines()).n == 0


def test_traces_have_lines():
    """A trace that did work and left no line cannot be proven."""
    table = spans(row_span())
    assert traces_answer(table, lines(line("x", seconds=41, trace_id="t"))).gaps == ()
    assert len(traces_answer(table, lines(line("x", seconds=41))).gaps) == 1
    assert traces_answer(table, lines(line("x", seconds=39))).n == 0
    assert traces_answer(table, lines()).n == 0
