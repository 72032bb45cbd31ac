"""What a drill's rows came to."""

from __future__ import annotations

import time

import pytest

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
    """A lost document and a stale one are named; what is put right again is fine."""
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
