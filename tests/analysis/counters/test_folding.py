"""Retry folding: ten attempts of one row weigh no more than its first."""

from __future__ import annotations

import pytest

from loomtriage.analysis.causes.decide import decide
from loomtriage.analysis.causes.facts import Seen, gather
from loomtriage.analysis.counters.folding import attempts_in_spans, fold, folding
from loomtriage.analysis.counters.increases import leaves, measure
from loomtriage.analysis.counters.patterns import rank
from loomtriage.analysis.joins import metric_to_trace
from loomtriage.contract.keys import SEARCH
from tests.make import BASELINE, WINDOW, column, line, lines, metrics, ramp, span, spans

ROWS = 30


def told(attempts: int, *, reason: str = "unknown_exception"):
    """One line for each attempt of each of 30 rows; the last one fails for good."""
    return lines(
        *(
            line(
                "x",
                fields={
                    "outbox_event_id": f"row-{row}",
                    "projection": SEARCH,
                    "reason": reason,
                    "result": "failed" if turn == attempts else "retry",
                    "attempt": turn,
                },
            )
            for row in range(ROWS)
            for turn in range(1, attempts + 1)
        )
    )


def counted(attempts: int):
    """The counters of the same fault."""
    labels = {"op": "upsert", "reason": "unknown_exception"}
    series = {
        column("processed", op="upsert"): ramp(300, 300),
        column("terminal_failed", **labels): ramp(0, ROWS * 30 / 29),
    }
    if attempts > 1:
        series[column("retry_scheduled", **labels)] = ramp(0, ROWS * (attempts - 1) * 30 / 29)
    return measure(metrics(series), window=WINDOW, baseline=BASELINE)


def answer(attempts: int):
    by = folding(told(attempts), spans())
    folded = fold(counted(attempts), by)
    ranked = rank(leaves(folded), exposure=1.0)
    facts = gather(folded, Seen(lines=told(attempts)), exposure=1.0)
    named = [(c.cause, c.strong, round(c.weight)) for c in decide(facts)]
    return [str(p) for p in ranked], [round(p.observed) for p in ranked[:1]], named


def test_max_attempts_changes_neither_ranking_nor_cause():
    """The same fault with 1 and with 10 attempts a row is the same fault."""
    assert answer(10) == answer(1)


def test_without_folding_ten_attempts_would_weigh_ten_times():
    """The negative control: the counters themselves differ."""
    once, often = (leaves(counted(n))["observed"].sum() for n in (1, 10))
    assert often - once == pytest.approx(9 * ROWS)


def test_what_was_folded_is_said():
    """The number of attempts, of rows, and who told."""
    assert str(folding(told(10), spans())) == (
        "300 attempts of 30 rows folded (10.0 a row, by log lines)"
    )
    assert "No signal names" in str(folding(lines(), spans()))


def test_sampled_attempts_are_counted_by_their_numbers():
    """Lines of the first and the seventh attempt show that there were seven."""
    kept = told(7)
    kept = kept[[f["attempt"] in (1, 7) for f in kept["fields"]]]
    assert folding(kept, spans()).factor(SEARCH, "unknown_exception") == 7.0


def test_spans_tell_where_lines_do_not():
    """A row span without a result has that of its batch; metric and trace count rows alike."""
    table = spans(
        *(
            row
            for turn in range(3)
            for row in (
                span(f"t{turn}", "b", "projection.process_batch", attributes={"result": "retry"}),
                span(
                    f"t{turn}",
                    "r",
                    "outbox.process",
                    parent="b",
                    attributes={"wordloom.outbox_event_id": "one", "projection": "search"},
                ),
            )
        )
    )
    assert len(attempts_in_spans(table)) == 3
    assert folding(lines(), table).factor(SEARCH, "es_429") == 3.0
    assert metric_to_trace(1.0, table).share == 1.0
