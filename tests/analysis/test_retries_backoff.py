"""Backoff: planned waits are held to their own formula, and real gaps to the plan."""

from __future__ import annotations

import pytest

from loomtriage.analysis.retries.backoff import attempts_table, kept, law, left_s
from loomtriage.analysis.retries.residue import residues
from loomtriage.analysis.retries.tries import tries_of_lines
from tests.analysis.test_retries_loops import WAITS, retry, row, rows, told
from tests.make import at, lines


def _table(*said):
    return tries_of_lines(lines(*said))


def test_the_formula_is_read_from_the_waits():
    """Base, cap and growth come from the system itself, so that no setting has to be known."""
    said = [retry("a", 10 * n, n + 1, wait=min(w, 4.0)) for n, w in enumerate((1.0, 2.1, 4.2, 4.0))]
    found = law(_table(*said))
    assert (found.base_s, found.max_s, found.n, found.inside) == (0.5, 4.0, 4, 4)
    assert found.grows is True


@pytest.mark.parametrize(
    ("waits", "inside", "grows"),
    [
        ((1.0, 1.0, 1.0), 3, False),  # a pause, no backoff
        ((1.0, 2.0, 9.0), 2, True),  # one wait out of line
        ((1.0,), 1, None),  # nothing to compare with
    ],
)
def test_waits_that_do_not_follow_are_counted(waits, inside, grows):
    """Out of the formula and its jitter, or not growing at all."""
    found = law(_table(*(retry("a", 10 * n, n + 1, wait=w) for n, w in enumerate(waits))))
    assert (found.inside, found.grows) == (inside, grows)


def test_without_retries_there_is_no_law():
    """Nothing was planned, so nothing is judged."""
    nothing = _table(told("a", 1, "outbox.row_done", attempt=1))
    assert law(nothing) is None
    assert kept(nothing) is None
    assert attempts_table(nothing).empty


def test_a_try_before_its_time_is_counted():
    """A worker that ignores next_retry_at hammers what it should spare."""
    said = [retry("a", 0, 1, wait=1), retry("a", 1.2, 2, wait=2), retry("a", 2.2, 3, wait=4)]
    found = kept(_table(*said))
    assert (found.n, found.early) == (2, 1)
    assert found.late_s[1] == pytest.approx(0.2, abs=0.01)


def test_the_table_shows_plan_and_gap_side_by_side():
    """Attempts 1 to 4, each with its wait; the gap is that until the next try."""
    table = attempts_table(
        _table(*(retry("a", 10 * n, n + 1, wait=w) for n, w in enumerate(WAITS)))
    )
    assert table["attempt"].tolist() == [1, 2, 3, 4]
    assert table["planned_min"].tolist() == list(WAITS)
    assert table["gap"].tolist()[:3] == [10.0, 10.0, 10.0]


@pytest.mark.parametrize(
    ("reason", "attempts", "left"),
    [
        ("rate_limited", 9, None),  # transient: waits for as long as it takes
        ("unknown_exception", 9, 0.0),  # the tenth attempt is the last
        ("unknown_exception", 6, 30.0 + 30.0 + 30.0),
        ("mapping_conflict", 0, None),  # is never retried at all
    ],
)
def test_only_bounded_reasons_come_to_an_end_by_themselves(reason, attempts, left):
    """Time left until a row fails for good, as waits only."""
    assert left_s(reason, attempts, base_s=0.5, max_s=30.0) == left


def test_residue_is_told_apart_from_backlog():
    """Failed rows raise lag and age, and no worker will ever touch them."""
    (found,) = residues(
        rows(
            row("a", next_retry_at=at(90), created_at=at(20)),
            row("b", created_at=at(50)),
            row("c", status="processing", created_at=at(55)),
            row("d", status="failed", created_at=at(-3600)),
            row("e", status="done", processed_at=at(30)),
        ),
        now=at(60),
    )
    assert (found.waiting, found.claimable, found.processing, found.failed) == (1, 1, 1, 1)
    assert (found.backlog, found.oldest_s, found.oldest_failed_s) == (3, 40.0, 3660.0)
