"""Proof: only a row that failed for the same, was replayed and is done frees the others."""

from __future__ import annotations

import json

import pytest

from loomtriage.closeout.plan_words import plan_words
from loomtriage.contract.keys import CHRONICLE
from tests.closeout.failed import ERROR, ask, fill, planned

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("replayer_dsn")]

OTHER = "illegal_argument_exception: unknown analyzer"


def _fresh(dsn, **kind):
    fill(dsn, failed=7, **kind)
    ask(dsn, "UPDATE search_outbox_events SET updated_at = now() WHERE event_version = 7")


def _canary_done(dsn, *, error=ERROR, reason="mapping_conflict", table="search_outbox_events"):
    """A row that was replayed now, as the audit tells, and is done."""
    kind = "block" if table.startswith("search") else "chronicle_event"
    ((row_id,),) = ask(
        dsn,
        f"INSERT INTO {table} (id, entity_type, entity_id, op, event_version, status,"
        " processed_at, replay_count, last_replayed_at) VALUES (gen_random_uuid(), %s,"
        " gen_random_uuid(), 'upsert', 8, 'done', now(), 1, now()) RETURNING id",
        kind,
    )
    ask(
        dsn,
        "INSERT INTO outbox_replay_audit (plan_sha256, row_id, table_name, batch, is_canary, who,"
        " why, fixed, before, after) VALUES ('earlier', %s, %s, 1, true, 'ada', 'x', '', %s, '{}')",
        row_id,
        table,
        json.dumps({"error_reason": reason, "error": error}),
    )


def test_a_canary_that_had_failed_for_the_same_frees_its_bucket(dsn):
    """It was replayed after the last failure and is done: the way is free."""
    _fresh(dsn)
    assert [bucket.offer for bucket in planned(dsn).buckets] == ["canary"]
    _canary_done(dsn, error=f"{ERROR}, preview 9")
    assert (planned(dsn).buckets[0].offer, len(planned(dsn).rows)) == ("all", 7)


@pytest.mark.parametrize("other", [{"error": OTHER}, {"reason": "es_429"}])
def test_a_canary_of_another_cause_proves_nothing(dsn, other):
    """Same type and operation are not the same failure."""
    _fresh(dsn)
    _canary_done(dsn, **other)
    assert [bucket.offer for bucket in planned(dsn).buckets] == ["canary"]


def test_a_replayed_row_without_audit_proves_nothing(dsn):
    """What it had failed for nobody wrote down."""
    _fresh(dsn)
    ask(
        dsn,
        "UPDATE search_outbox_events SET status = 'done', processed_at = now(), replay_count = 1,"
        " last_replayed_at = now(), error = NULL, error_reason = NULL WHERE event_version = 1",
    )
    assert [bucket.offer for bucket in planned(dsn).buckets] == ["canary"]


def test_chronicle_rows_do_not_tell_when_they_failed(dsn):
    """Enqueued an hour ago says nothing of the failure: a canary, even without a quiet time."""
    ask(dsn, "TRUNCATE chronicle_outbox_events")
    ask(
        dsn,
        "INSERT INTO chronicle_outbox_events (id, entity_type, entity_id, op, event_version,"
        " created_at, status, attempts, error_reason, error, replay_count) SELECT"
        " gen_random_uuid(), 'chronicle_event', gen_random_uuid(), 'upsert', 0,"
        " now() - interval '1 h', 'failed', 1, 'deterministic_exception', 'KeyError', 0"
        " FROM generate_series(1, 3)",
    )
    plan = planned(dsn, projection=CHRONICLE, quiet_s=0)
    assert (plan.buckets[0].offer, len(plan.rows)) == ("canary", 1)
    assert "when they were enqueued" in plan.buckets[0].why
    assert "  seen    enqueued 2" in plan_words(plan, "p", "lab")
    _canary_done(
        dsn, error="KeyError", reason="deterministic_exception", table="chronicle_outbox_events"
    )
    assert planned(dsn, projection=CHRONICLE).buckets[0].offer == "all"


def test_above_what_a_plan_reads_the_unread_count_as_well(dsn, monkeypatch):
    """The newest events are not read: one row at most, until one was done after them all."""
    for module in ("failed_rows", "plan"):
        monkeypatch.setattr(f"loomtriage.closeout.{module}.MOST_READ", 5)
    fill(dsn, failed=9)
    plan = planned(dsn)
    assert (plan.truncated, plan.buckets[0].offer, len(plan.rows)) == (True, "canary", 1)
    _canary_done(dsn, error=f"{ERROR}, preview 1")
    assert planned(dsn).buckets[0].offer == "all"
    ask(
        dsn,
        "UPDATE search_outbox_events SET updated_at = clock_timestamp() WHERE event_version = 9",
    )
    assert planned(dsn).buckets[0].offer == "canary"
