"""Elasticsearch is full.

At a quarter past nine somebody starts to rebuild an index on the same cluster. Nothing breaks.
The search worker goes on, a little slower, and its log fills with warnings that all say the same:
the write queue is full, try again later. It does try again, later, and later still, and now and
then a row gets through. The lag grows by some rows a minute. Nobody's data is lost, nobody's data
is wrong, and the one thing that would make it worse is what somebody proposes first: more workers.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent, Appears, Flat, Rises
from loomtriage.drills.faults.limits import EsLimits
from loomtriage.model import Scope

DRILL = Drill(
    id="es_429",
    title="Elasticsearch rejects writes, its queue is full",
    # One worker that writes row by row never fills a queue.
    services={"worker": {"OUTBOX_CONCURRENCY": "6"}},
    fault=EsLimits(workers=1, queue=1, service_s=0.4),
    load=LoadPlan(per_s=7, ops=("upsert",)),
    expect=(
        Appears("retry_scheduled", projection=SEARCH, reason="rate_limited"),
        Rises("failed", projection=SEARCH, reason="rate_limited"),
        Rises("lag", projection=SEARCH),
        Flat("terminal_failed", projection=SEARCH),
        Absent("failed", projection=SEARCH, reason="es_unreachable"),
    ),
    look_alikes={
        "es_down": "No HTTP status comes back at all; here it is 429.",
        "es_poison_4xx": "Rows fail for good at once; here none does.",
        "db_contention": "Claims come back empty; here they are full and the PUT spans fail.",
    },
    cause="es_429",
    close_out="Lower concurrency or give Elasticsearch room; the rows drain by themselves.",
    scope=Scope(projection=SEARCH, op="upsert", reason="rate_limited", result="retry"),
)
