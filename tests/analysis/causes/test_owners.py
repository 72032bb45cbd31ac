"""Owners: a slow worker that goes on, a silent one, and counters that do not tell."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from loomtriage.analysis.causes.decide import decide
from loomtriage.analysis.causes.owners import ended_leases, owners_live
from loomtriage.contract.keys import CHRONICLE, SEARCH
from loomtriage.model import Window
from tests.analysis.causes.test_causes import QUIET
from tests.make import BASELINE, WINDOW, at, column, metrics, ramp

BOTH = Window(BASELINE.start, WINDOW.end)
ONE, TWO = column("processed"), column("processed", instance="w2")
RETRIES = column("retry_scheduled", reason="es_unreachable")
OTHER = column("processed", projection=CHRONICLE, instance="w3")
ANEW = [*ramp(30, 0)[:38], *[float(n) for n in range(22)]]
WORKS, STOPS, IDLE = ramp(30, 30), [*ramp(30, 0)[:38], *[30.0] * 22], [0.0] * 60


def held(*ends: float | None, projection: str = SEARCH) -> pd.DataFrame:
    """Claimed rows whose leases end at these seconds."""
    return pd.DataFrame(
        {
            "status": "processing",
            "projection": projection,
            "lease_until": pd.to_datetime([one and at(one) for one in ends], utc=True),
        }
    )


@pytest.mark.parametrize(
    ("series", "live"),
    [
        ({ONE: WORKS}, True),
        ({ONE: ramp(300, 12)}, True),
        ({ONE: STOPS}, False),
        ({ONE: STOPS, RETRIES: ramp(0, 30)}, True),
        ({ONE: WORKS, TWO: WORKS}, True),
        ({ONE: STOPS, TWO: WORKS}, False),
        ({ONE: STOPS[:38], TWO: WORKS}, False),
        ({ONE: WORKS, TWO: IDLE}, None),
        ({ONE: ANEW}, None),
        ({ONE: ANEW, TWO: WORKS}, None),
        ({ONE: WORKS, column("up"): [*[1.0] * 40, 0.0, *[1.0] * 19]}, None),
        ({ONE: IDLE}, False),
        ({ONE: STOPS, OTHER: WORKS}, False),
        ({OTHER: WORKS}, None),
        ({column("lag"): WORKS}, None),
    ],
)
def test_an_owner_lives_when_its_counters_go_on_after_the_lease(series, live):
    """Each worker of the projection is asked; one that is silent is enough."""
    assert owners_live(metrics(series), held(45.0, 50.0), span=BOTH) is live


def test_what_one_scrape_adds_may_have_been_done_before_the_lease_ended():
    """A last batch is counted a moment later, and proves no life."""
    late = [*ramp(30, 0)[:46], *[40.0] * 14]
    assert owners_live(metrics({ONE: late}), held(45.2), span=BOTH) is False
    assert owners_live(metrics({ONE: [*late[:50], *[41.0] * 10]}), held(45.2), span=BOTH) is True


def test_a_lease_that_ended_just_now_tells_of_no_silence():
    """A slow worker has had no time to end its next row; a fast one has."""
    end = Window(BASELINE.start, at(50.0))
    slow = [float(n // 4) for n in range(50)]
    assert owners_live(metrics({ONE: slow}), held(49.5), span=end) is None
    fast = [float(10 * min(n, 45)) for n in range(50)]
    assert owners_live(metrics({ONE: fast}), held(49.5), span=end) is False


def test_leases_that_still_run_or_ended_before_all_that_was_seen_tell_nothing():
    """No row is held too long, or nobody saw what its owner did then."""
    work = metrics({ONE: WORKS})
    for rows in (held(), held(70.0), held(None), held(-5.0)):
        assert owners_live(work, rows, span=BOTH) is None
    assert len(ended_leases(held(45.0, 70.0, None), BOTH.end)) == 1


@pytest.mark.parametrize(
    ("facts", "strong"),
    [
        ({"expired": 9, "owners_live": False}, True),
        ({"expired": 9}, False),
        ({"stuck": 9.0}, False),
        ({"extra": {"reclaimed": (9.0, 0.0)}}, True),
    ],
)
def test_leases_that_ended_carry_a_cause_only_where_an_owner_was_seen_to_be_silent(facts, strong):
    """Where no counter tells of the owner, a second signal must say the same."""
    (found,) = decide(replace(QUIET, **facts))
    assert found.strong is strong
