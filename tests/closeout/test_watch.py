"""Watch: a replay stops when rows fail or pile up, and tells of every row that it left."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import psycopg
import pytest

from loomtriage.closeout.permit import permit
from loomtriage.closeout.replay import Pace, replay
from loomtriage.closeout.target import connected
from tests.closeout.failed import ask, fill, more, planned, request, settling

pytestmark = pytest.mark.lab

FAST = Pace(rows_per_s=0, batch=5, canary_s=20, watch_s=20)
_WAITING = """INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version,
    replay_count) SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, 0
    FROM generate_series(1, 20)"""


@pytest.fixture
def often(monkeypatch):
    """Look after nearly every batch."""
    monkeypatch.setattr("loomtriage.closeout.watch._pause", lambda _begun, _least: 0.01)


def _replay(replayer_dsn, plan, *, pace=FAST, at="", do=None):
    """Replay, and do something once when a line begins so."""
    steps = [do] if do else []

    def say(line):
        if steps and line.startswith(at):
            steps.pop()()

    with connected(replayer_dsn, read_only=False) as session:
        warrant = permit(session, plan, request(plan), now=plan.made_at)
        return replay(session, plan, warrant, pace=pace, say=say)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("rate", [0, 5000])
def test_rows_of_others_that_fail_meanwhile_stop_it(dsn, replayer_dsn, rate):
    """The table as a whole counts, with the rate limit lifted too."""
    fill(dsn, failed=200)
    pace = replace(FAST, rows_per_s=rate)
    with settling(dsn):
        outcome = _replay(
            replayer_dsn, planned(dsn), pace=pace, at="batch 3", do=lambda: more(dsn, failed=15)
        )
    assert outcome.stopped == "15 rows more failed since the replay began"
    assert outcome.replayed < 200


@pytest.mark.usefixtures("often")
def test_a_backlog_of_others_that_grows_makes_it_wait(dsn, replayer_dsn, monkeypatch):
    """It waits as long as a canary may take, and then says so."""
    monkeypatch.setattr("loomtriage.closeout.replay.BATCHES_OPEN", 2)
    fill(dsn, failed=200)
    pace = replace(FAST, canary_s=5)  # it is waited out
    with settling(dsn):
        outcome = _replay(
            replayer_dsn, planned(dsn), pace=pace, at="batch 3", do=lambda: ask(dsn, _WAITING)
        )
    assert outcome.stopped == "the worker does not keep up: 20 rows more wait than at the start"


def test_a_new_run_looks_at_what_the_earlier_one_put_back(dsn, replayer_dsn):
    """Twelve of them failed again since: not one more is touched."""
    fill(dsn, failed=40)
    plan = planned(dsn)

    def interrupt():
        raise KeyboardInterrupt

    with settling(dsn):
        first = _replay(replayer_dsn, plan, at="batch 4", do=interrupt)
    assert first.replayed == 16
    ask(dsn, "UPDATE search_outbox_events SET status = 'failed' WHERE replay_count = 1")
    again = _replay(replayer_dsn, plan)
    assert (again.replayed, again.stopped) == (0, "16 of the replayed rows failed again")
    assert again.ready == 24


def test_a_canary_that_was_deleted_is_gone(dsn, replayer_dsn):
    """It was not done; it proves nothing."""
    fill(dsn, failed=5)
    delete = "DELETE FROM search_outbox_events WHERE replay_count = 1"
    outcome = _replay(replayer_dsn, planned(dsn), at="canary", do=lambda: ask(dsn, delete))
    assert outcome.stopped.endswith("is gone")
    assert outcome.replayed == 1


def test_a_canary_that_is_retried_says_why(dsn, replayer_dsn):
    """Its worker runs: Elasticsearch rejects it for now."""
    fill(dsn, failed=5)
    retry = """UPDATE search_outbox_events SET error_reason = 'es_429', error = 'HTTP 429',
        attempts = 1 WHERE replay_count = 1"""
    pace = Pace(rows_per_s=0, batch=5, canary_s=0.4, watch_s=0)
    outcome = _replay(
        replayer_dsn, planned(dsn), pace=pace, at="canary", do=lambda: ask(dsn, retry)
    )
    assert outcome.stopped.endswith("within 0.4 s; retried: rate_limited: HTTP 429")


@pytest.mark.parametrize("is_let_go", [True, False])
def test_a_row_that_somebody_holds_is_tried_once_more(dsn, replayer_dsn, is_let_go):
    """Let go meanwhile, it goes with the others; held to the end, it is told as such."""
    fill(dsn, failed=12)
    plan = planned(dsn)
    held = plan.rows[5].id
    with closing(psycopg.connect(dsn)) as other, settling(dsn):
        other.execute("SELECT 1 FROM search_outbox_events WHERE id = %s FOR UPDATE", (held,))
        let_go = other.rollback if is_let_go else None
        outcome = _replay(replayer_dsn, plan, at="batch 3", do=let_go)
    assert outcome.skipped == ({} if is_let_go else {"locked by somebody else": [held]})
    assert (outcome.replayed, outcome.ready) == ((12, 0) if is_let_go else (11, 1))


def test_every_row_of_every_bucket_without_canary_is_told(dsn, replayer_dsn, monkeypatch):
    """Two buckets changed altogether; the rows that were not even tried are all named."""
    monkeypatch.setattr("loomtriage.closeout.replay.MOST_CANARIES", 1)
    fill(dsn, failed=3)
    more(dsn, failed=3, reason="es_connect", error="ConnectError")
    plan = planned(dsn)
    ask(dsn, "UPDATE search_outbox_events SET attempts = 2")
    outcome = _replay(replayer_dsn, plan)
    told = {why: len(ids) for why, ids in outcome.skipped.items()}
    assert told == {"its bucket has no canary: those tried changed": 4, "changed since the plan": 2}


_UPSERT = """INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version,
    status, created_at, replay_count)
SELECT gen_random_uuid(), entity_type, entity_id, 'upsert', %s, %s,
    created_at + make_interval(secs => %s), 0 FROM search_outbox_events"""


@pytest.mark.parametrize(
    ("version", "status", "later_s", "offer"),
    [
        # Versions of deletes are hours off; the time of enqueuing is not.
        (0, "done", 1, "nothing"),
        (0, "processing", 1, "nothing"),
        (9, "done", -1, "all"),
        (9, "pending", 1, "all"),
    ],
)
def test_what_is_later_is_told_by_the_time_of_enqueuing(dsn, version, status, later_s, offer):
    """Whatever the versions say."""
    fill(dsn, failed=1)
    ask(dsn, "UPDATE search_outbox_events SET op = 'delete'")
    ask(dsn, _UPSERT, version, status, later_s)
    assert [bucket.offer for bucket in planned(dsn).buckets] == [offer]
