"""What a drill's rows came to."""

from __future__ import annotations

import time

import pytest

from loomtriage.drills.database import owner_session
from loomtriage.drills.effects import check_effects
from loomtriage.drills.loopback import ask
from loomtriage.drills.rows import RowCounts
from loomtriage.drills.steady import wait_steady
from loomtriage.drills.windows import Came, conserved
from loomtriage.lab.load import Load, LoadCounts
from loomtriage.lab.state import INDEX
from loomtriage.model import State
from tests.drills.rehearsal import now
from tests.lab.services import until

_LATE = """UPDATE search_outbox_events SET processed_at = processed_at + interval '1 hour'
WHERE id = (SELECT a.id FROM search_outbox_events AS a
    JOIN search_outbox_events AS b USING (entity_type, entity_id)
    WHERE a.created_at >= %s AND a.status = 'done' AND b.status = 'done'
        AND a.event_version < b.event_version LIMIT 1)
RETURNING id"""
_IN_TIME = """UPDATE search_outbox_events SET processed_at = processed_at - interval '1 hour'
WHERE id = %s"""


_ANY = "(SELECT id FROM chronicle_events WHERE created_at >= %s LIMIT 1)"
_WRONG = """UPDATE chronicle_entries SET payload = payload || '{"x": 1}' WHERE id = """
_TWICE = """INSERT INTO chronicle_entries
    (id, event_type, book_id, occurred_at, created_at, payload)
SELECT gen_random_uuid(), event_type, book_id, occurred_at, created_at, payload
FROM chronicle_entries WHERE id = """
_CHRONICLE = (
    (
        f"{_WRONG}{_ANY} RETURNING id",
        "UPDATE chronicle_entries SET payload = payload - 'x' WHERE id = %(id)s",
    ),
    (f"{_TWICE}{_ANY} RETURNING id", "DELETE FROM chronicle_entries WHERE id = %(id)s"),
)
"""What makes an entry wrong, or come twice, and what puts that right again."""


_UNDONE = """UPDATE chronicle_outbox_events SET status = 'failed' WHERE id IN (
    SELECT id FROM chronicle_outbox_events WHERE created_at >= %s AND status = 'done' {})
RETURNING id"""
_DONE = "UPDATE chronicle_outbox_events SET status = 'done' WHERE id = ANY(%s)"


def counts(**by_status: int) -> RowCounts:
    return RowCounts(by_status={"p": by_status})


@pytest.mark.parametrize(
    ("accepted", "refused", "made", "after", "state"),
    [
        (5, 0, 0, {"done": 5}, "OK"),
        (5, 0, 0, {"done": 3, "failed": 1, "pending": 1}, "OK"),
        (5, 0, 0, {"done": 4}, "BAD"),  # one event was lost
        (5, 0, 0, {"done": 6}, "BAD"),  # one event came twice
        (5, 0, 3, {"done": 8}, "OK"),  # three were made by the fault
        (5, 0, 3, {"done": 5}, "BAD"),
        (5, 1, 0, {"done": 6}, "OK"),  # the refused one came in all the same
        (5, 1, 0, {"done": 7}, "BAD"),
    ],
)
def test_every_accepted_write_is_one_row(accepted, refused, made, after, state):
    """Rows that are lost, doubled, or made by the fault and then lost, do not add up."""
    load = LoadCounts(sent=accepted + refused, accepted=accepted, refused=refused)
    came = Came(before=counts(), after=counts(**after), projection="p")
    assert conserved(load, came, made=made).state is State(state)


@pytest.mark.lab
def test_document_that_differs_from_its_last_event_is_found(lab):
    """A lost document, a stale one and disorder are told; what is put right again is fine."""
    since = now()
    with Load(lab.api_url, per_s=30, ops=("upsert", "delete"), seed=since.microsecond) as load:
        until(lambda: load.accepted >= 20, "20 writes")
    assert not wait_steady(lab, within_s=60, say=lambda _line: None, pause=time.sleep).lacking
    good = check_effects(lab, since=since)
    assert good.state is State.OK, good
    assert good.n

    body = {"size": 10_000, "query": {"match_all": {}}}
    found = ask("POST", f"{lab.elastic_direct_url}/{INDEX}/_search", body=body).json()
    newest = max(found["hits"]["hits"], key=lambda hit: hit["_source"]["event_version"])
    url = f"{lab.elastic_direct_url}/{INDEX}/_doc/{newest['_id']}"
    for wrong in ({**newest["_source"], "text": "older"}, None):
        ask("PUT", url, body=wrong) if wrong else ask("DELETE", url)
        bad = check_effects(lab, since=since)
        assert (bad.state, bad.value) == (State.BAD, 1.0)
        assert newest["_id"] in bad.says
    ask("PUT", url, body=newest["_source"])
    assert check_effects(lab, since=since).state is State.OK

    with owner_session(lab) as session:
        (late,) = session.execute(_LATE, (since,)).fetchone()
        found = check_effects(lab, since=since)
        assert found.state is State.WARN, found
        assert "1 events were applied out of order" in found.says
        session.execute(_IN_TIME, (late,))
    assert check_effects(lab, since=since).state is State.OK

    with owner_session(lab) as session:
        for wrong, right in _CHRONICLE:
            (event,) = session.execute(wrong, (since,)).fetchone()
            bad = check_effects(lab, since=since)
            assert (bad.state, bad.value) == (State.BAD, 1.0), wrong
            assert f"chronicle:{event}" in bad.says
            session.execute(right, {"id": event})
            assert check_effects(lab, since=since).state is State.OK

    with owner_session(lab) as session:
        for rows, state in (("ORDER BY id LIMIT 1", State.WARN), ("", State.NO_DATA)):
            ids = session.execute(_UNDONE.format(rows), (since,)).fetchall()
            found = check_effects(lab, since=since)
            assert (found.state, found.n) == (state, good.n - len(ids)), found
            assert f"0 entities and {len(ids)} chronicle entries were not done" in found.says
            session.execute(_DONE, ([one for (one,) in ids],))
    assert check_effects(lab, since=since) == good
