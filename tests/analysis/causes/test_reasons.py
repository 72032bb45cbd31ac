"""Blames: the counters say why attempts ended; without them lines do, or else spans."""

from __future__ import annotations

import pandas as pd
import pytest

from loomtriage.analysis.causes.decide import decide
from loomtriage.analysis.causes.facts import Seen, gather
from loomtriage.analysis.causes.reasons import told
from loomtriage.contract.keys import SEARCH
from loomtriage.contract.spans import BATCH, ROW
from tests.make import line, lines, span, spans

NOTHING = (lines(), spans())


def retried(rows: int, *, times: int = 3, reason: str = "es_unreachable"):
    """Log lines of rows that were tried in vain, each several times."""
    fields = {"result": "retry", "reason": reason, "projection": "search"}
    return lines(
        *(
            line("retry", fields=fields | {"outbox_event_id": f"row-{row}"})
            for row in range(rows)
            for _ in range(times)
        )
    )


def tried(rows: int):
    """The same as row spans."""
    attributes = {"wordloom.projection": "search", "result": "failed", "reason": "es_4xx"}
    return spans(
        *(
            span(
                f"t{row}",
                f"s{row}",
                operation=ROW,
                attributes=attributes | {"wordloom.outbox_event_id": f"row-{row}"},
            )
            for row in range(rows)
        )
    )


def test_lines_are_counted_by_row_and_not_by_attempt():
    """Nine lines of three rows are three events, of one projection."""
    (blame,) = told((retried(3), spans()), NOTHING, exposure=1.0, status=None)
    assert (blame.reason, blame.result, blame.observed) == ("es_unreachable", "retry", 3.0)
    assert blame.projections == (SEARCH,)
    assert not blame.strong


def test_spans_tell_where_lines_do_not():
    """And the one HTTP status tells `es_4xx` apart, as it does for the counters."""
    (blame,) = told((lines(line("started")), tried(9)), NOTHING, exposure=1.0, status=400)
    assert (blame.reason, blame.result, blame.strong) == ("mapping_conflict", "failed", True)


@pytest.mark.parametrize(("before", "count"), [(0, 1), (20, 0), (200, 0)])
def test_what_the_baseline_had_is_not_blamed(before, count):
    """Twenty rows, as in the baseline, are no change; nor are fewer."""
    seen = told((retried(20), None), (retried(before), None), exposure=1.0, status=None)
    assert len(seen) == count


def test_nothing_is_told_by_nothing():
    """Missing signals and quiet ones blame nobody."""
    assert told((None, None), (None, None), exposure=1.0, status=None) == ()
    assert told(NOTHING, NOTHING, exposure=1.0, status=None) == ()


def test_a_cause_is_named_without_counters_by_what_the_others_agree_on():
    """Lines and spans carry it; the counters are not said to agree."""
    client = {
        "kind": "client",
        "operation": "PUT",
        "error": True,
        "status_message": "ConnectError: refused",
    }
    seen = Seen(
        lines=retried(9),
        spans=spans(*(span(f"t{n}", f"c{n}", **client) for n in range(9))),
        lines_before=lines(),
        spans_before=spans(),
    )
    first = decide(gather(None, seen, exposure=1.0))[0]
    assert first.cause == "es_down"
    assert first.legs == ("traces", "logs")


def test_items_that_fail_inside_bulk_requests_are_no_poison_without_counters_either():
    """A batch span in bulk mode says that the request ended in part; alone, rows are poison."""
    batch = span("b", "b", BATCH, attributes={"mode": "es_bulk", "result": "partial"})
    rows = tried(9)
    for seen, cause in (
        (pd.concat([rows, spans(batch)]), "es_bulk_partial"),
        (rows, "es_poison_4xx"),
    ):
        voices = Seen(
            spans=seen,
            lines=lines(line("HTTP 400", fields={"http_status": 400})),
            spans_before=spans(),
            lines_before=lines(),
        )
        assert [c.cause for c in decide(gather(None, voices, exposure=1.0))] == [cause]
