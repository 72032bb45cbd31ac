"""Plan: all failed rows are bucketed, and only what may be replayed is in it."""

from __future__ import annotations

import resource

import pytest

from loomtriage.closeout.permit import permit
from loomtriage.closeout.target import connected
from loomtriage.errors import Refused
from tests.closeout.failed import ask, fill, more, planned, request

pytestmark = pytest.mark.lab


def test_poison_rows_are_named_with_what_to_do(dsn):
    """Others of the kind went through: the data is to be repaired, and these are the rows."""
    fill(dsn, failed=7, done=20)
    plan = planned(dsn)
    (bucket,) = plan.buckets
    assert (bucket.reason, bucket.action, bucket.offer) == ("mapping_conflict", "fix_data", "all")
    ids = {
        str(i) for (i,) in ask(dsn, "SELECT id FROM search_outbox_events WHERE status = 'failed'")
    }
    assert {row.id for row in plan.rows} == ids
    assert set(bucket.examples) <= ids
    assert plan.needs_note


def test_a_cause_that_still_fails_rows_offers_one_canary(dsn):
    """Its rows are counted and told; one of them may be tried, so that the fix can be seen."""
    fill(dsn, failed=7)
    ask(dsn, "UPDATE search_outbox_events SET updated_at = now() WHERE event_version = 7")
    plan = planned(dsn)
    assert (plan.buckets[0].n, plan.buckets[0].offer, len(plan.rows)) == (7, "canary", 1)
    assert "Still active: a row failed" in plan.buckets[0].why


def test_a_canary_that_failed_again_keeps_the_others_waiting(dsn):
    """Replayed rows are a bucket of their own, and their cause is the same."""
    fill(dsn, failed=5)
    ask(
        dsn,
        "UPDATE search_outbox_events SET updated_at = now(), replay_count = 1"
        " WHERE event_version = 1",
    )
    found = {bucket.replays: bucket.offer for bucket in planned(dsn).buckets}
    assert found == {0: "canary", 1: "canary"}


def test_rows_that_are_retried_for_the_same_reason_keep_a_cause_active(dsn):
    """Elasticsearch still rejects others: replaying would only add to it."""
    fill(dsn, failed=3, reason="es_429", error="HTTP 429")
    more(dsn, failed=1, reason="es_429", error="HTTP 429")
    ask(
        dsn,
        "UPDATE search_outbox_events SET status = 'pending', updated_at = now()"
        " WHERE id = (SELECT id FROM search_outbox_events LIMIT 1)",
    )
    (bucket,) = planned(dsn).buckets
    assert (bucket.reason, bucket.action, bucket.offer) == ("rate_limited", "scale", "canary")


def test_the_limit_and_the_reason_narrow_what_is_offered_and_not_what_is_told(dsn):
    """Every bucket is in the plan; rows only of those that were asked for, and no more than so."""
    fill(dsn, failed=9)
    more(dsn, failed=5, reason="es_connect", error="ConnectError")
    plan = planned(dsn, most=4, reason="es_unreachable")
    assert {b.reason: (b.n, b.offer) for b in plan.buckets} == {
        "mapping_conflict": (9, "nothing"),
        "es_unreachable": (5, "all"),
    }
    assert len(plan.rows) == 4
    assert not plan.needs_note


def test_twenty_thousand_rows_do_not_need_more_memory_than_a_few(dsn):
    """Rows come through a cursor on the server; what is kept of each is its state."""
    fill(dsn, failed=200)
    planned(dsn, most=20_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fill(dsn, failed=20_000)
    assert len(planned(dsn, most=20_000).rows) == 20_000
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 40


REFUSED = {
    "digest": ({"digest": "0" * 12}, "digest"),
    "short digest": ({"digest": ""}, "digest"),
    "nobody": ({"who": " "}, "--by"),
    "no reason": ({"why": ""}, "--why"),
    "nothing repaired": ({"fixed": ""}, "--fixed"),
    "another environment": ({"env": "prod"}, "sandbox"),
    "no environment": ({"env": ""}, "sandbox"),
}


@pytest.mark.parametrize(("given", "named"), REFUSED.values(), ids=REFUSED)
def test_a_replay_without_its_papers_is_refused(dsn, replayer_dsn, given, named):
    """Each rule says no by itself, before anything is written."""
    fill(dsn, failed=2)
    plan = planned(dsn)
    with connected(replayer_dsn, read_only=False) as session:
        permit(session, plan, request(plan), now=plan.made_at)
        with pytest.raises(Refused, match=named):
            permit(session, plan, request(plan, **given), now=plan.made_at)
    assert ask(dsn, "SELECT count(*) FROM search_outbox_events WHERE replay_count > 0") == [(0,)]


def test_a_role_that_could_delete_is_refused(dsn):
    """The owner may do more than a replay ever needs."""
    fill(dsn, failed=2)
    plan = planned(dsn)
    with connected(dsn, read_only=False) as session, pytest.raises(Refused, match="may delete"):
        permit(session, plan, request(plan), now=plan.made_at)


def test_very_many_rows_need_a_second_word(dsn, replayer_dsn, monkeypatch):
    """A mistake with a few rows is a mistake; with all of them it is the next incident."""
    monkeypatch.setattr("loomtriage.closeout.permit.MOST_ROWS", 2)
    fill(dsn, failed=3)
    plan = planned(dsn)
    with connected(replayer_dsn, read_only=False) as session:
        permit(session, plan, request(plan), now=plan.made_at)
        with pytest.raises(Refused, match="--many"):
            permit(session, plan, request(plan, many=False), now=plan.made_at)


def test_nothing_is_proposed_where_an_index_is_there(dsn, monkeypatch):
    """Wordloom's schema needs none; without its indexes one is proposed, and not made."""
    monkeypatch.setattr("loomtriage.closeout.failed_rows.LARGE_ROWS", 1000)
    fill(dsn, failed=20, done=5000)
    assert not planned(dsn).index
    names = [
        n
        for (n,) in ask(
            dsn,
            "SELECT indexname FROM pg_indexes WHERE tablename ="
            " 'search_outbox_events' AND indexdef LIKE '%%(status%%'",
        )
    ]
    definitions = [d for n in names for (d,) in ask(dsn, "SELECT pg_get_indexdef(%s::regclass)", n)]
    for name in names:
        ask(dsn, f"DROP INDEX {name}")
    try:
        assert planned(dsn).index.startswith("CREATE INDEX CONCURRENTLY")
        assert ask(dsn, "SELECT to_regclass('idx_search_outbox_events_failed')") == [(None,)]
    finally:
        for definition in definitions:
            ask(dsn, definition)
