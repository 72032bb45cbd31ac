"""Replay: exactly the rows of a plan, canary first, once, and written down."""

from __future__ import annotations

import psycopg
import pytest

from loomtriage.closeout.audit import audit_lines
from loomtriage.closeout.permit import permit
from loomtriage.closeout.replay import Pace, dry_run, replay
from loomtriage.closeout.target import connected
from loomtriage.closeout.turn import turn
from loomtriage.contract.keys import CHRONICLE
from loomtriage.errors import Refused
from tests.closeout.failed import ERROR, ask, fill, planned, request, settling

pytestmark = pytest.mark.lab

FAST = Pace(rows_per_s=0, batch=20, canary_s=20, watch_s=20)


def _replay(replayer_dsn, plan, pace=FAST):
    with connected(replayer_dsn, read_only=False) as session:
        warrant = permit(session, plan, request(plan), now=plan.made_at)
        return replay(session, plan, warrant, pace=pace, say=lambda _line: None)


def _statuses(dsn):
    found = ask(dsn, "SELECT status, count(*) FROM search_outbox_events GROUP BY 1")
    return dict(found)


def test_the_rows_of_the_plan_go_back_and_nothing_else(dsn, replayer_dsn):
    """The limit is part of what happens, not of what is printed; the rest stays failed."""
    fill(dsn, failed=50)
    plan = planned(dsn, most=30)
    with settling(dsn):
        outcome = _replay(replayer_dsn, plan)
    assert (outcome.replayed, outcome.stopped, outcome.skipped) == (30, "", {})
    assert dict(outcome.settled) == {"done": 30}
    assert _statuses(dsn) == {"done": 30, "failed": 20}
    (kept,) = {
        r[0]
        for r in ask(
            dsn, "SELECT event_version <= 30 FROM search_outbox_events WHERE status = 'done'"
        )
    }
    assert kept is True


def test_replayed_rows_start_afresh_and_say_who_sent_them(dsn, replayer_dsn):
    """Attempts begin at zero, the replay is counted, and the row names operator and reason."""
    fill(dsn, failed=1)
    _replay(replayer_dsn, planned(dsn), pace=Pace(canary_s=0.1, watch_s=0))
    (row,) = ask(
        dsn,
        "SELECT status, attempts, replay_count, error, error_reason, last_replayed_by,"
        " last_replayed_reason FROM search_outbox_events",
    )
    assert row == ("pending", 0, 1, None, None, "ada", "OPS-17")


def test_the_audit_keeps_what_the_row_forgot(dsn, replayer_dsn):
    """Who, why, what was fixed, and the row before and after; the error is not lost."""
    fill(dsn, failed=3)
    plan = planned(dsn)
    with settling(dsn):
        _replay(replayer_dsn, plan)
    with connected(replayer_dsn, read_only=True) as session:
        entries = list(audit_lines(session, plan.digest()))
    assert len(entries) == 3
    for word in ("ada", "OPS-17", "scores repaired", ERROR, "loomtriage_replayer"):
        assert word in entries[0]
    assert '"is_canary": true' in entries[0]
    assert '"status": "failed"' in entries[0]


def test_a_canary_that_fails_again_stops_everything(dsn, replayer_dsn):
    """Nothing was repaired: one row was tried, and the others were not touched."""
    fill(dsn, failed=40)
    with settling(dsn, status="failed"):
        outcome = _replay(replayer_dsn, planned(dsn))
    assert outcome.replayed == 1
    assert "failed again: mapping_conflict" in outcome.stopped
    assert ask(dsn, "SELECT count(*) FROM search_outbox_events WHERE replay_count = 0") == [(39,)]


def test_a_canary_without_a_worker_stops_everything(dsn, replayer_dsn):
    """A row that nobody processes proves nothing."""
    fill(dsn, failed=5)
    outcome = _replay(replayer_dsn, planned(dsn), pace=Pace(canary_s=0.3, watch_s=0))
    assert (outcome.replayed, _statuses(dsn)) == (1, {"failed": 4, "pending": 1})
    assert "does its worker run?" in outcome.stopped


def test_the_same_plan_twice_has_no_second_effect(dsn, replayer_dsn):
    """A second run finds everything done, whoever starts it."""
    fill(dsn, failed=25)
    plan = planned(dsn)
    with settling(dsn):
        _replay(replayer_dsn, plan)
        again = _replay(replayer_dsn, plan)
    assert (again.replayed, again.before, again.stopped) == (0, 25, "")
    assert ask(dsn, "SELECT max(replay_count) FROM search_outbox_events") == [(1,)]


def test_rows_that_changed_since_the_plan_are_skipped_and_named(dsn, replayer_dsn):
    """Deleted, replayed by somebody else, or failed otherwise: left alone, each with its reason."""
    fill(dsn, failed=10)
    plan = planned(dsn)
    gone, other, touched = (row.id for row in plan.rows[:3])
    ask(dsn, "DELETE FROM search_outbox_events WHERE id = %s", gone)
    ask(dsn, "UPDATE search_outbox_events SET status = 'pending' WHERE id = %s", other)
    ask(dsn, "UPDATE search_outbox_events SET error = 'another' WHERE id = %s", touched)
    with connected(replayer_dsn, read_only=True) as session:
        assert dry_run(session, plan) == {"ready": 7, "changed": 3, "before": 0}
    with settling(dsn):
        outcome = _replay(replayer_dsn, plan)
    assert outcome.replayed == 7
    assert {tuple(ids): why.split(",")[0] for why, ids in outcome.skipped.items()} == {
        (gone,): "deleted since the plan",
        (other,): "pending since the plan",
        (touched,): "changed since the plan",
    }


def test_a_delete_that_a_later_write_overtook_stays_where_it_is(dsn, replayer_dsn):
    """Replaying it would take a living document away, also when the write came after the plan."""
    fill(dsn, failed=2)
    ask(dsn, "UPDATE search_outbox_events SET op = 'delete'")
    plan = planned(dsn)
    ask(
        dsn,
        "INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status,"
        " processed_at, replay_count) SELECT gen_random_uuid(), entity_type, entity_id, 'upsert',"
        " 9, 'done', now(), 0 FROM search_outbox_events WHERE id = %s",
        plan.rows[0].id,
    )
    with settling(dsn):
        outcome = _replay(replayer_dsn, plan)
    assert outcome.replayed == 1
    assert outcome.skipped == {"overtaken by a later event": [plan.rows[0].id]}
    actions = {bucket.action: bucket.offer for bucket in planned(dsn).buckets}
    assert actions == {"drop": "nothing"}


def test_a_chronicle_row_that_its_worker_touched_is_still_as_planned(dsn, replayer_dsn):
    """That worker rewrites the time of every failed row in each turn; error and attempts count."""
    ask(dsn, "TRUNCATE chronicle_outbox_events")
    ask(
        dsn,
        "INSERT INTO chronicle_outbox_events (id, entity_type, entity_id, op, event_version,"
        " created_at, status, attempts, error_reason, error, replay_count) VALUES"
        " (gen_random_uuid(), 'chronicle_event', gen_random_uuid(), 'upsert', 0,"
        " now() - interval '1 h', 'failed', 1, 'deterministic_exception', 'KeyError', 0)",
    )
    plan = planned(dsn, projection=CHRONICLE)
    # When it failed nobody knows, only when it was enqueued: one row, until one was done.
    assert [bucket.offer for bucket in plan.buckets] == ["canary"]
    ask(dsn, "UPDATE chronicle_outbox_events SET updated_at = now() + interval '1 s'")
    with connected(replayer_dsn, read_only=True) as session:
        assert dry_run(session, plan)["ready"] == 1
    ask(dsn, "UPDATE chronicle_outbox_events SET attempts = 2")
    with connected(replayer_dsn, read_only=True) as session:
        assert dry_run(session, plan)["changed"] == 1


def test_one_replay_at_a_time(dsn, replayer_dsn, monkeypatch):
    """The second operator is refused and hears who is at it, and nothing happened."""
    monkeypatch.setattr("loomtriage.closeout.turn.PATIENCE_S", 0.1)
    fill(dsn, failed=2)
    with (
        connected(replayer_dsn, read_only=False) as other,
        turn(other, "grace"),
        pytest.raises(Refused, match=r"Somebody else .* by grace, connected since 20"),
    ):
        _replay(replayer_dsn, planned(dsn))
    assert _statuses(dsn) == {"failed": 2}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE outbox_replay_audit SET who = 'nobody'",
        "DELETE FROM outbox_replay_audit",
        "TRUNCATE outbox_replay_audit",
    ],
)
def test_the_audit_cannot_be_changed_even_by_its_owner(dsn, replayer_dsn, statement):
    """History is added to; nobody takes from it."""
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        ask(dsn, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM search_outbox_events",
        "UPDATE search_outbox_events SET entity_id = gen_random_uuid()",
        "UPDATE search_outbox_events SET op = 'delete'",
        "INSERT INTO environment_sentinel VALUES (2, 'x', 'dev')",
        "UPDATE outbox_replay_audit SET who = 'x'",
        "SELECT * FROM blocks",
    ],
)
def test_the_role_may_do_what_a_replay_needs_and_no_more(replayer_dsn, statement):
    """Its rights are the lock: other columns, tables and deletes are out of its reach."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(replayer_dsn, statement)
