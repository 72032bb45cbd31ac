"""Backoff: planned waits are held to their own formula, and real gaps to the plan."""

from __future__ import annotations

import pytest

from loomtriage.analysis.retries.backoff import attempts_table, kept, laws, left_s
from loomtriage.analysis.retries.residue import residues
from loomtriage.analysis.retries.tries import number, tries_of_lines
from loomtriage.contract.keys import CHRONICLE, SEARCH
from tests.analysis.test_retries_loops import WAITS, retry, row, rows, told
from tests.make import at, lines


def _table(*said):
    return tries_of_lines(lines(*said))


def test_the_formula_is_read_from_the_waits():
    """Base, cap and growth come from the system itself, so that no setting has to be known."""
    said = [retry("a", 10 * n, n + 1, wait=min(w, 4.0)) for n, w in enumerate((1.0, 2.1, 4.2, 4.0))]
    found = laws(_table(*said))[SEARCH]
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
    said = [retry("a", 10 * n, n + 1, wait=w) for n, w in enumerate(waits)]
    found = laws(_table(*said))[SEARCH]
    assert (found.inside, found.grows) == (inside, grows)


@pytest.mark.parametrize(
    ("first", "wait", "grows"),
    [
        (7, 30.0, None),  # at the documented cap from the first one seen
        (4, 4.0, None),  # may be a lower cap
        (1, 2.0, False),  # the control: a pause from the first attempt on
        (2, 28.0, None),  # 0.9 of the cap
        (2, 26.0, False),
    ],
)
def test_waits_at_their_cap_cannot_grow(first, wait, grows):
    """A window that opens late in an outage sees the cap only; that is no missing backoff."""
    found = laws(_table(*(retry("a", 40 * n, first + n, wait=wait) for n in range(3))))[SEARCH]
    assert (found.grows, found.inside) == (grows, 3)


def test_each_projection_has_its_own_formula():
    """Chronicle counts from one less and has a lower cap: together they would follow nothing."""
    said = [retry("a", 10 * n, n + 1, wait=w) for n, w in enumerate(WAITS)]
    said += [
        retry("b", 10 * n, n + 1, wait=w / 2, projection=CHRONICLE) for n, w in enumerate(WAITS)
    ]
    found = laws(_table(*said))
    assert {name: (law.base_s, law.inside) for name, law in found.items()} == {
        SEARCH: (0.5, 4),
        CHRONICLE: (0.25, 4),
    }
    flat = [retry("b", 10 * n, n + 2, wait=10.0, projection=CHRONICLE) for n in range(3)]
    assert laws(_table(*flat))[CHRONICLE].grows is None


def test_the_gap_over_a_replay_is_no_wait():
    """Between an end and a replay nothing was planned, so that nothing came late."""
    said = [retry("a", 0, 3, wait=4), retry("a", 4.1, 4, wait=8), retry("a", 900, 1, wait=1)]
    assert kept(_table(*said)).n == 1
    assert kept(_table(*said[:2])).late_s[1] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (3, 3.0),
        ("3.0", 3.0),
        (0, 0.0),
        (10**400, None),
        pytest.param(10**5000, None, id="huge"),
        (float("nan"), None),
        (float("inf"), None),
        (-1, None),
        (86_401, None),
        (None, None),
        (True, None),
        ([1], None),
        ("a", None),
    ],
)
def test_odd_numbers_are_not_believed(value, read):
    """A field may hold anything at all; only what can be a wait, a count or an attempt is read."""
    assert number(value) == read


def test_odd_fields_leave_the_other_tries_alone():
    """One line of nonsense does not hide the rest."""
    odd = [retry(f"o{n}", n, v, wait=v) for n, v in enumerate((10**400, float("nan"), -3, "x"))]
    table = _table(*odd, *(retry("a", 10 * n, n + 1, wait=w) for n, w in enumerate(WAITS)))
    assert (len(table), laws(table)[SEARCH].n) == (8, 4)
    assert table["planned_s"].notna().sum() == 4


def test_without_retries_there_is_no_law():
    """Nothing was planned, so nothing is judged."""
    nothing = _table(told("a", 1, "outbox.row_done", attempt=1))
    assert laws(nothing) == {}
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
