"""The book of faults: leases end by themselves, and taking back is safe in any order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomtriage.lab.proxy.fault_book import (
    KEEP_HEALED_S,
    Fault,
    FaultBook,
    FaultState,
    Kind,
    Moment,
    Rule,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(clock_s, wall_jump_s=0.0):
    """The moment so many seconds after the start, with a wall clock that somebody may have set."""
    return Moment(clock_s=clock_s, utc=START + timedelta(seconds=clock_s + wall_jump_s))


def refuse(fault_id="a", until_s=10.0):
    """A refusing fault."""
    return Fault(id=fault_id, kind=Kind.REFUSE, expires_at_s=until_s, since=START)


def answer(fault_id="a", until_s=10.0, **rule):
    """An answering fault."""
    return Fault(
        id=fault_id,
        kind=Kind.ANSWER,
        rule=Rule(**{"status": 429, **rule}),
        expires_at_s=until_s,
        since=START,
    )


def test_a_lease_that_nobody_renews_ends_by_itself():
    """After its lease a fault no longer acts, cannot be renewed, and is listed as expired."""
    book = FaultBook().apply(refuse(until_s=10.0), at(0))
    assert book.sweep(at(9.9)).refusing()
    healed = book.sweep(at(10))
    assert not healed.refusing()
    assert healed.state_of("a") is FaultState.EXPIRED
    assert healed.renew("a", 10, now=at(10)) == healed
    assert book.renew("a", 10, now=at(10.1)).state_of("a") is FaultState.EXPIRED


def test_an_expired_answer_acts_on_no_request_even_before_the_next_sweep():
    """A request after the lease passes, although nobody has swept the book yet."""
    book = FaultBook().apply(answer(until_s=10.0), at(0))
    _, rule = book.meet("PUT", "/i/_doc/1", now=at(10.001))
    assert rule is None


@given(jump_s=st.floats(min_value=-1e8, max_value=1e8))
def test_setting_the_wall_clock_neither_extends_nor_ends_a_lease(jump_s):
    """Leases run on the other clock: a wall clock jump changes nothing."""
    book = FaultBook().apply(refuse(until_s=10.0), at(0))
    assert book.sweep(at(9.9, jump_s)).refusing()
    assert not book.sweep(at(10, jump_s)).refusing()


def test_renewal_starts_from_now():
    """A renewed lease ends so many seconds after the renewal, no sooner and no later."""
    book = FaultBook().apply(refuse(until_s=10.0), at(0)).renew("a", 10, now=at(8))
    assert book.sweep(at(17.9)).refusing()
    assert not book.sweep(at(18)).refusing()


def test_the_same_order_twice_renews_and_another_under_its_id_is_refused():
    """Applying twice keeps the counters; a different fault cannot take over an id."""
    book, _ = FaultBook().apply(answer(until_s=10), at(0)).meet("PUT", "/x", now=at(1))
    again = book.apply(answer(until_s=15), at(5)).active["a"]
    assert (again.hit, again.expires_at_s) == (1, 15)
    with pytest.raises(ValueError, match="another fault"):
        book.apply(answer(status=503), at(5))
    with pytest.raises(ValueError, match="another fault"):
        book.apply(refuse(), at(5))


def test_healed_faults_are_forgotten_at_last():
    """The list of healed faults does not grow for ever."""
    book = FaultBook().apply(refuse(until_s=10), at(0)).sweep(at(10))
    assert book.sweep(at(10 + KEEP_HEALED_S)) == FaultBook()


IDS = st.sampled_from("abc")
CHANGES = st.one_of(
    st.tuples(st.just("apply"), IDS, st.floats(0.1, 60)),
    st.tuples(st.just("renew"), IDS, st.floats(0.1, 60)),
    st.tuples(st.just("delete"), IDS, st.just(0.0)),
    st.tuples(st.just("wait"), IDS, st.floats(0, 30)),
)


def _run(changes):
    book, clock_s = FaultBook(), 0.0
    for what, fault_id, seconds in changes:
        if what == "apply":
            book = book.apply(refuse(fault_id, clock_s + seconds), at(clock_s))
        elif what == "renew":
            book = book.renew(fault_id, seconds, now=at(clock_s))
        elif what == "delete":
            book = book.delete(fault_id, at(clock_s))
        else:
            clock_s += seconds
    return book, clock_s


@given(changes=st.lists(CHANGES, max_size=20), fault_id=IDS)
def test_deleting_three_times_is_deleting_once(changes, fault_id):
    """Delete is idempotent in every state that a book can reach."""
    book, clock_s = _run(changes)
    now = at(clock_s)
    once = book.delete(fault_id, now)
    assert once.delete(fault_id, now).delete(fault_id, now) == once
    assert fault_id not in once.active


@given(changes=st.lists(CHANGES, max_size=20))
def test_deleting_what_was_never_applied_changes_nothing(changes):
    """Taking back a fault that never was is no-op beyond what time does anyway."""
    book, clock_s = _run(changes)
    assert book.delete("never", at(clock_s)) == book.sweep(at(clock_s))


@given(changes=st.lists(CHANGES, max_size=20))
def test_every_fault_heals_without_any_further_command(changes):
    """Whatever was done, one longest lease later nothing acts any more."""
    book, clock_s = _run(changes)
    assert not book.sweep(at(clock_s + 60)).active


@given(order=st.permutations(["a", "b", "c"]))
def test_the_order_of_taking_back_does_not_matter(order):
    """Deleting all faults in any order ends in the same book."""
    book = FaultBook()
    for fault_id in "abc":
        book = book.apply(refuse(fault_id), at(0))
    for fault_id in order:
        book = book.delete(fault_id, at(1))
    assert book == FaultBook()


def _answered(book, count, method="PUT", path="/i/_doc/1"):
    answers = []
    for _ in range(count):
        book, rule = book.meet(method, path, now=at(1))
        answers.append(rule is not None)
    return book, answers


def test_every_second_request_is_answered():
    """`every=2` answers the second, fourth, sixth matching request and counts both kinds."""
    book, answers = _answered(FaultBook().apply(answer(every=2), at(0)), 6)
    assert answers == [False, True] * 3
    assert (book.active["a"].seen, book.active["a"].acted) == (6, 3)


def test_a_share_of_requests_is_repeatable():
    """`ratio` with the same seed chooses the same requests, with another seed others."""
    chosen = [
        _answered(FaultBook().apply(answer(ratio=0.3, seed=seed), at(0)), 200)[1]
        for seed in (1, 1, 2)
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert 30 <= sum(chosen[0]) <= 90


@pytest.mark.parametrize(
    ("rule", "method", "path", "matches"),
    [
        ({}, "PUT", "/i/_doc/1", True),
        ({}, "GET", "/", False),
        ({"methods": ()}, "GET", "/", True),
        ({"methods": ("DELETE",)}, "PUT", "/i/_doc/1", False),
        ({"path": "*/_bulk"}, "POST", "/i/_bulk", True),
        ({"path": "*/_bulk"}, "PUT", "/i/_doc/1", False),
    ],
)
def test_only_matching_requests_count(rule, method, path, matches):
    """By default a fault answers writes only; methods and path narrow or widen it."""
    book, answers = _answered(FaultBook().apply(answer(**rule), at(0)), 1, method, path)
    assert answers == [matches]
    assert book.active["a"].seen == int(matches)


def test_a_closed_port_is_booked_on_refusing_faults_only():
    """Aborted connections and refused probes witness the refusing fault, not its neighbour."""
    book = FaultBook().apply(refuse("r"), at(0)).apply(answer("b"), at(0))
    book = book.refused(aborted=2, probes=1)
    assert (book.active["r"].acted, book.active["b"].acted) == (3, 0)
    assert replace(book.active["r"], aborted=0, probes_refused=0) == refuse("r")
