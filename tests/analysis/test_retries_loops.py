"""Silent loops: each is found by its own sign, and a backoff that works is left in peace."""

from __future__ import annotations

import warnings

import pandas as pd
import pytest

from loomtriage.analysis.retries.loops import SAYS, silent_loops
from loomtriage.analysis.retries.tries import tries_of_lines, tries_of_spans
from loomtriage.contract.keys import SEARCH
from loomtriage.model.frame import ROW_COLUMNS
from tests.make import at, line, lines, span, spans

WAITS = (1.0, 2.0, 4.0, 8.0)


def retry(row, seconds, attempt, *, reason="rate_limited", wait=1.0, projection=SEARCH):
    """A line that a row goes back for later."""
    fields = {
        "outbox_event_id": row,
        "attempt": attempt,
        "reason": reason,
        "backoff_s": wait,
        "projection": projection,
        "claim_batch_id": f"{row}-{seconds}",
    }
    return line("retry", seconds=seconds, event="outbox.row_retry", fields=fields)


def told(row, seconds, event, **fields):
    """A line about a row."""
    return line(event, seconds=seconds, event=event, fields={"outbox_event_id": row, **fields})


def claim(batch, seconds, claimed=5, worker="w"):
    """A line about a claim."""
    fields = {"claim_batch_id": batch, "claimed": claimed, "worker_id": worker}
    return line("claim", seconds=seconds, event="outbox.claim_batch", fields=fields)


def worked(batch, seconds, result="ok"):
    """A line about a batch, all that Wordloom's own worker says of what it claimed."""
    fields = {"claim_batch_id": batch, "result": result, "worker_id": "w"}
    return line("worked", seconds=seconds, event="projection.process_batch", fields=fields)


def reclaimed(*seconds, ids=("a",)):
    """Lines that leases of rows ran out."""
    fields = {"outbox_event_ids": list(ids)}
    return [line("r", seconds=n, event="outbox.reclaimed", fields=fields) for n in seconds]


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
    "reclaimed twice": ("lease_cycles", reclaimed(5, 9, ids=("a", "b")), []),
    "reclaimed again and again after one retry": (
        "lease_cycles",
        [retry("a", 2, 1), *reclaimed(5, 9, 13, 17, 21)],
        [],
    ),
    "lost again and again after one retry": (
        "lease_cycles",
        [
            retry("a", 2, 1),
            *(told("a", n, "outbox.row_lost", reason="lease_expired", attempt=2) for n in (5, 9)),
        ],
        [],
    ),
    "odd numbers of claims": (
        "claimed_again",
        [
            *(claim(f"b{n}", n) for n in range(6)),
            *(claim(f"c{n}", n, v) for n, v in enumerate(("3.0", 10**400, float("nan"), -1, "x"))),
        ],
        [],
    ),
    "one of two workers drops its claims": (
        "claimed_again",
        [
            one
            for n in range(6)
            for one in (claim(f"b{n}", n), claim(f"c{n}", n, worker="x"), worked(f"c{n}", n))
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


def test_spans_of_untyped_columns_are_read_as_quickly():
    """A frame of objects is typed before it is reckoned with, also where it is empty."""
    attributes = {"wordloom.outbox_event_id": "a", "attempt": 1, "result": "retry"}
    one = spans(span("t", "s", "outbox.process", start=2, attributes=attributes))
    untyped = one.astype({"start": object, "duration_s": object})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tries_of_spans(untyped)["at"].tolist() == [at(2.1)]
        assert tries_of_spans(untyped.iloc[:0]).empty


PEACE = {
    "a backoff that works": (HEALTHY, []),
    "a storm that lasts": ([retry(r, 10 + 5 * n, n + 1) for r in "abcdef" for n in range(4)], []),
    "one lost lease": ([told("a", 5, "outbox.row_lost", reason="lease_expired", attempt=1)], []),
    "a worker that died once": (
        [
            *(claim(f"b{n}", n) for n in range(2)),
            *reclaimed(5),
            told("a", 9, "outbox.row_done", attempt=1),
        ],
        [],
    ),
    "a row that was replayed": (
        [
            *(retry("a", 100 * life + n, n + 1) for life in range(3) for n in range(3)),
            *(told("a", 100 * life + 50, "outbox.row_failed", attempt=4) for life in range(3)),
        ],
        [],
    ),
    "a row that was replayed, and whose end nobody saw": (
        [retry("a", 100 * life + n, n + 1) for life in range(4) for n in range(3)],
        [],
    ),
    "a row that came back after its end": (
        [
            one
            for life in range(4)
            for one in (
                retry("a", 100 * life, 1),
                told("a", 100 * life + 5, "outbox.row_done", attempt=2),
            )
        ],
        [],
    ),
    "leases that ran out before a retry": ([*reclaimed(3, 6, 9), retry("a", 20, 1)], []),
    "a worker that tells of batches only": (
        [one for n in range(9) for one in (claim(f"b{n}", n), worked(f"b{n}", n))],
        [],
    ),
    "the last claim of each of many workers": (
        [claim(f"b{n}", n, worker=f"w{n}") for n in range(6)],
        [],
    ),
    "claims that have no name": ([claim("", n) for n in range(6)], []),
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
