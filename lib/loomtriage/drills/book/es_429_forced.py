"""Something in front of Elasticsearch limits the rate.

The cluster is bored: its queue is empty, its threads are idle, and its own counters know of no
rejection. The worker gets 429 all the same, for every second write or so. Between the two sits a
gateway that somebody gave a quota last week. For the outbox it is all one: rows go back to
pending, wait, and get through in the end. Only the count of rejections on the Elasticsearch side
tells where to look, and it stands at zero.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent, Appears, Flat, Rises
from loomtriage.drills.faults.http import HttpAnswer
from loomtriage.model import Scope

DRILL = Drill(
    id="es_429_forced",
    title="a gateway rejects writes with 429",
    fault=HttpAnswer(status=429, ratio=0.6),
    load=LoadPlan(per_s=6, ops=("upsert",)),
    expect=(
        Appears("retry_scheduled", projection=SEARCH, reason="rate_limited"),
        Rises("failed", projection=SEARCH, reason="rate_limited"),
        Flat("terminal_failed", projection=SEARCH),
        Absent("failed", projection=SEARCH, reason="es_unreachable"),
    ),
    look_alikes={
        "es_down": "No HTTP status comes back at all; here it is 429.",
        "es_poison_4xx": "Rows fail for good at once; here none does.",
    },
    cause="es_429",
    close_out="Raise the quota; the rows drain by themselves. Nothing is to be replayed.",
    scope=Scope(projection=SEARCH, op="upsert", reason="rate_limited", result="retry"),
)
