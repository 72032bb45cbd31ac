"""Elasticsearch is gone.

At 10:02 the lag panel of the search projection starts to climb and does not stop. Nothing is
slow; nothing is late by a little: rows go in, and none comes out. Users still save their
chapters, since the API only writes to Postgres, but what they wrote a minute ago cannot be found.
Every attempt ends within milliseconds, goes back to pending, and waits a little longer than the
one before. No row has failed for good, and none will: the outbox holds them all. Somebody asks
whether to restart the worker. The worker is the only part that does exactly what it should.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent, Appears, Falls, Flat, Rises
from loomtriage.drills.faults.http import HttpRefuse
from loomtriage.model import Scope

DRILL = Drill(
    id="es_down",
    title="Elasticsearch is down",
    fault=HttpRefuse(target="elastic"),
    load=LoadPlan(per_s=5, ops=("upsert",)),
    expect=(
        Appears("retry_scheduled", projection=SEARCH, reason="es_unreachable"),
        Rises("failed", projection=SEARCH, reason="es_unreachable"),
        Falls("processed", projection=SEARCH),
        Rises("lag", projection=SEARCH),
        Flat("terminal_failed", projection=SEARCH),
        Absent("failed", projection=SEARCH, reason="rate_limited"),
    ),
    look_alikes={
        "es_429": "An HTTP status comes back: the PUT span carries 429, here it carries none.",
        "es_write_block": "Rows fail for good with 403; here they are retried, none is lost.",
        "db_contention": "The PUT span is fine and claims are slow; here claims go on as ever.",
        "stuck_reclaim": "The worker is silent and claims expire; here it tries and says why not.",
        "collector_down": "Business counters go on as before; here `processed` stands still.",
    },
    cause="es_down",
    close_out="Bring Elasticsearch back; the rows drain by themselves. Nothing is to be replayed.",
    scope=Scope(projection=SEARCH, op="upsert", reason="es_unreachable", result="retry"),
)
