"""Silent loops: each is found by its own sign, and a backoff that works is left in peace."""

from __future__ import annotations

import pandas as pd
import pytest

from loomtriage.analysis.retries.loops import SAYS, silent_loops
from loomtriage.analysis.retries.tries import tries_of_lines, tries_of_spans
from loomtriage.contract.keys import SEARCH
from loomtriage.model.frame import ROW_COLUMNS
from tests.make import at, line, lines, span, spans

WAITS = (1.0, 2.0, 4.0, 8.0)


def retry(row, seconds, attempt, *, reason="rate_limited", wait=1.0):
    """A line that a row goes back for later."""
    fields = {
        "outbox_event_id": row,
        "attempt": attempt,
        "reason": reason,
        "backoff_s": wait,
        "projection": SEARCH,
        "claim_batch_id": f"{row}-{seconds}",
    }
    return line("retry", seconds=seconds, event="outbox.row_retry", fields=fields)


def told(row, seconds, event, **fields):
    """A line about a row."""
    return line(event, seconds=seconds, event=event, fields={"outbox_event_id": row, **fields})


def claim(batch, seconds, claimed=5):
    """A line about a claim."""
    fields = {"claim_batch_id": batch, "claimed": claimed}
    return line("claim", seconds=seconds, event="outbox.claim_batch", fields=fields)


def row(name="a", **columns):
    """One row of a ROWS table."""
    base = dict.fromkeys(ROW_COLUMNS, "")
    given = {
        "projection": SEARCH,
        "id": name,
        "status": "pending",
        "attempts": 0,
        "replay_count": 0,
    }
    times = dict.fromkeys(("next_retry_at", "lease_until", "processed_at"), pd.NaT)
    return {**base, **times, "created_at": at(0), "updated_at": at(30), **given, **columns}


def rows(*given):
    """A ROWS table."""
    table = pd.DataFrame(list(given), columns=list(ROW_COLUMNS))
    for name in ("created_at", "updated_at", "next_retry_at", "lease_until", "processed_at"):
        table[name] = pd.to_datetime(table[name], utc=True)
    return table


def kinds(said=(), held=(), *, retried=0.0):
    """Kinds of loop that these lines and rows show."""
    table = lines(*said)
    found = silent_loops(tries_of_lines(table), table, rows(*held), retried=retried)
    return {loop.kind for loop in found}


RISING = [retry("a", 10 + 5 * n, n + 1, wait=w) for n, w in enumerate(WAITS)]
HEALTHY = [*RISING, told("a", 40, "outbox.row_done", attempt=5)]

FOUND = {
    "capped after a rise": ("capped", [*RISING, *(retry("a", 40 + n, 4) for n in range(3))], []),
    "capped as documented": ("capped", [retry("a", n, 11) for n in range(4)], []),
    "lease lost twice": (
        "lease_cycles",
        [told("a", n, "outbox.row_lost", reason="lease_expired", attempt=1) for n in (5, 9)],
        [],
    ),
    "reclaimed twice": (
        "lease_cycles",
        [
            line("r", seconds=n, event="outbox.reclaimed", fields={"outbox_event_ids": ["a", "b"]})
            for n in (5, 9)
        ],
        [],
    ),
    "claims without a word": ("claimed_again", [claim(f"b{n}", n) for n in range(6)], []),
    "no time": ("no_due_time", [], [row(attempts=2, reason="rate_limited")]),
    "attempts stand": ("uncounted", [retry("a", n, 1) for n in range(4)], []),
}


@pytest.mark.parametrize(("kind", "said", "held"), FOUND.values(), ids=FOUND)
def test_a_loop_is_found_and_named(kind, said, held):
    """Exactly this one, by the sign that it cannot hide."""
    assert kinds(said, held) == {kind}


def test_counters_and_rows_alone_show_attempts_that_stand():
    """Where no line names a row: retries are counted, and the rows hold no attempt."""
    held = [row(reason="rate_limited", next_retry_at=at(50))]
    assert kinds([], held, retried=9) == {"uncounted"}
    assert (
        kinds([], [row(reason="rate_limited", attempts=3, next_retry_at=at(50))], retried=9)
        == set()
    )


def test_spans_alone_show_attempts_that_stand():
    """Wordloom's own worker writes no line about a row; its row spans carry the attempt."""
    attributes = {
        "wordloom.outbox_event_id": "a",
        "attempt": 1,
        "result": "retry",
        "reason": "es_429",
    }
    table = spans(
        *(
            span(f"t{n}", f"s{n}", "outbox.process", start=n, attributes=attributes)
            for n in range(4)
        )
    )
    found = silent_loops(tries_of_spans(table), lines(), rows(), retried=4)
    assert [(loop.kind, loop.rows) for loop in found] == [("uncounted", ("a",))]
    assert found[0].refs == ("span:s3",)


PEACE = {
    "a backoff that works": (HEALTHY, []),
    "a storm that lasts": ([retry(r, 10 + 5 * n, n + 1) for r in "abcdef" for n in range(4)], []),
    "one lost lease": ([told("a", 5, "outbox.row_lost", reason="lease_expired", attempt=1)], []),
    "a worker that died once": (
        [
            *(claim(f"b{n}", n) for n in range(2)),
            line("r", seconds=5, event="outbox.reclaimed", fields={"outbox_event_ids": ["a"]}),
            told("a", 9, "outbox.row_done", attempt=1),
        ],
        [],
    ),
    "claims with results": (
        [
            one
            for n in range(6)
            for one in (
                claim(f"b{n}", n),
                told(f"r{n}", n, "outbox.row_done", claim_batch_id=f"b{n}"),
            )
        ],
        [],
    ),
    "rows that wait for their time": ([], [row(attempts=2, reason="x", next_retry_at=at(50))]),
    "rows that were given back at shutdown": ([], [row(attempts=2)]),
    "rows that are new": ([], [row(), row("b")]),
    "nothing at all": ([], []),
}


@pytest.mark.parametrize(("said", "held"), PEACE.values(), ids=PEACE)
def test_what_is_no_loop_is_left_in_peace(said, held):
    """Attempts rise, waits are planned, claims end: nothing is reported."""
    assert kinds(said, held) == set()


def test_every_loop_says_what_to_do():
    """A finding that leads nowhere is noise."""
    assert all(what and do.endswith(".") for what, do in SAYS.values())
    assert {kind for kind, _, _ in FOUND.values()} == set(SAYS)
