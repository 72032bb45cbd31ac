"""Close-out of real poison, end to end: named, refused, repaired, replayed, written down."""

from __future__ import annotations

import json
import time
import uuid

import pytest

from loomtriage.analysis.templates import skeleton
from loomtriage.closeout.audit import REPLAYER_ROLE, audit_lines, make_audit
from loomtriage.closeout.failed_rows import Asked
from loomtriage.closeout.permit import Request, permit
from loomtriage.closeout.plan import Wanted, make_plan
from loomtriage.closeout.replay import Pace, replay
from loomtriage.closeout.target import connected
from loomtriage.contract.keys import SEARCH
from loomtriage.drills.database import owner_session
from loomtriage.drills.loopback import ask
from loomtriage.lab.state import INDEX, database_url, password

pytestmark = pytest.mark.lab

KIND = "tag"  # no load writes tags, so that these rows are the test's alone
PACE = Pace(rows_per_s=200, canary_s=40, watch_s=40)


def _write(lab, count, *, score):
    """So many documents with that score, and their outbox rows; ids of the rows."""
    ids = []
    with owner_session(lab) as session:
        for _ in range(count):
            row_id, entity_id = uuid.uuid4(), uuid.uuid4()
            session.execute(
                "INSERT INTO search_index (id, entity_type, entity_id, text, rank_score)"
                " VALUES (%s, %s, %s, 'warp', %s)",
                (uuid.uuid4(), KIND, entity_id, score),
            )
            session.execute(
                "INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version,"
                " replay_count) VALUES (%s, %s, %s, 'upsert', %s, 0)",
                (row_id, KIND, entity_id, time.time_ns() // 1000),
            )
            ids.append(str(row_id))
    return ids


def _statuses(lab):
    with owner_session(lab) as session:
        found = session.execute(
            "SELECT status, count(*) FROM search_outbox_events WHERE entity_type = %s GROUP BY 1",
            (KIND,),
        )
        return {str(status): int(str(n)) for status, n in found}


def _until(lab, wanted):
    deadline = time.monotonic() + 60
    while _statuses(lab) != wanted:
        assert time.monotonic() < deadline, _statuses(lab)
        time.sleep(0.1)


def _plan(lab, *, quiet_s):
    wanted = Wanted(asked=Asked(projection=SEARCH, entity_type=KIND), quiet_s=quiet_s)
    return make_plan(lab.triage_dsn, wanted, template=skeleton)


def _replay(lab, plan):
    dsn = database_url(lab.ports["postgres"], role=REPLAYER_ROLE, token=lab.token)
    request = Request(
        digest=plan.digest(), who="ada", why="OPS-17", fixed="scores are 0", env=lab.env
    )
    with connected(dsn, read_only=False) as session:
        warrant = permit(session, plan, request, now=plan.made_at)
        outcome = replay(session, plan, warrant, pace=PACE, say=lambda _line: None)
        return outcome, [json.loads(one) for one in audit_lines(session, plan.digest())]


def test_poison_is_named_refused_repaired_and_replayed(lab):
    """The whole of a close-out on a living pipeline; afterwards every row is done, once."""
    make_audit(lab.dsn, password=password(REPLAYER_ROLE, lab.token))
    _write(lab, 3, score=0.5)
    _until(lab, {"done": 3})
    poison = _write(lab, 4, score="NaN")
    _write(lab, 1, score=0.5)
    _until(lab, {"done": 4, "failed": 4})

    # Named, with the right rows; and not offered while the cause is fresh.
    (bucket,) = _plan(lab, quiet_s=60).buckets
    assert (bucket.reason, bucket.action, bucket.n) == ("mapping_conflict", "fix_data", 4)
    assert (bucket.offer, len(_plan(lab, quiet_s=60).rows)) == ("canary", 1)
    early = _plan(lab, quiet_s=0)
    assert {row.id for row in early.rows} == set(poison)

    # Before the fix: the canary fails again, and nobody else is touched.
    outcome, _ = _replay(lab, early)
    assert outcome.replayed == 1
    assert "mapping_conflict" in outcome.stopped
    assert _statuses(lab) == {"done": 4, "failed": 4}

    # After the fix: every row is done, and the audit tells who, why, before and after.
    with owner_session(lab) as session:
        session.execute("UPDATE search_index SET rank_score = 0 WHERE rank_score = 'NaN'")
    outcome, entries = _replay(lab, _plan(lab, quiet_s=0))
    assert (outcome.replayed, outcome.stopped, dict(outcome.settled)) == (4, "", {"done": 4})
    assert _statuses(lab) == {"done": 8}
    assert {entry["row_id"] for entry in entries} == set(poison)
    for entry in entries:
        assert (entry["who"], entry["why"], entry["fixed"]) == ("ada", "OPS-17", "scores are 0")
        assert "failed to parse field [rank_score]" in entry["before"]["error"]
        assert entry["before"]["status"] == "failed"
        assert entry["after"]["status"] == "pending"
        assert entry["after"]["replay_count"] == entry["before"]["replay_count"] + 1
    body = {"query": {"term": {"entity_type": KIND}}}
    found = ask("POST", f"{lab.elastic_direct_url}/{INDEX}/_search", body=body).json()
    assert found["hits"]["total"]["value"] == 8
