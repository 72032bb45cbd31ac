"""Joins: coverage of each edge, like compared with like."""

from __future__ import annotations

from loomtriage.analysis.joins import metric_to_trace, trace_to_log
from tests.make import line, lines, span, spans

ROW = {"operation": "outbox.process", "own": "r"}


def row(trace: str, event: str, result: str, reason: str = ""):
    told = {"wordloom.outbox_event_id": event, "result": result, "reason": reason}
    return span(trace, **ROW, attributes=told)


def test_a_row_tried_thrice_is_one_row_on_both_sides():
    """Three attempts of one row cover one of two failed rows, not three."""
    table = spans(*(row(f"t{n}", "one", "retry") for n in range(3)), row("ok", "two", "ok"))
    cover = metric_to_trace(2.0, table)
    assert (cover.resolved, cover.n, cover.share) == (1, 2, 0.5)


def test_a_row_that_failed_for_two_reasons_is_two_on_both_sides():
    """Counters have a rejected row that then failed for good under each of its reasons."""
    both = (row("t1", "one", "retry", "rate_limited"), row("t2", "one", "failed", "es_5xx"))
    assert metric_to_trace(2.0, spans(*both)).share == 1.0


def test_nothing_to_resolve_has_no_share():
    """Zero of zero is not full coverage."""
    assert metric_to_trace(0.0, spans()).share is None
    assert trace_to_log(spans(), lines()).share is None


def test_a_line_proves_only_the_trace_it_names():
    """Of two failing traces one has a line."""
    table = spans(row("a", "one", "retry"), row("b", "two", "failed"))
    cover = trace_to_log(table, lines(line("x", trace_id="a"), line("y", trace_id="c")))
    assert (cover.resolved, cover.n, cover.unresolved) == (1, 2, ("b",))
