"""The write succeeded, and nobody heard of it.

A load balancer drops connections. Elasticsearch gets the document, indexes it, says so, and the
answer never arrives. For the worker that is a failed request without any status: it puts the row
back and writes the same document again, once, twice, until an answer comes through. The panels
show retries as if Elasticsearch were going down, but it is up, every document is there at the
first try, and what is repeated changes nothing.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent, Appears, Flat
from loomtriage.drills.faults.answers import LoseAnswers
from loomtriage.model import Scope

DRILL = Drill(
    id="ack_lost",
    title="answers of Elasticsearch get lost",
    fault=LoseAnswers(ratio=0.5),
    load=LoadPlan(per_s=6, ops=("upsert",)),
    expect=(
        Appears("retry_scheduled", projection=SEARCH, reason="es_request_error"),
        Flat("terminal_failed", projection=SEARCH),
        Absent("failed", projection=SEARCH, reason="es_unreachable"),
        Absent("failed", projection=SEARCH, reason="rate_limited"),
    ),
    look_alikes={
        "es_down": "The connection is refused and nothing gets in; here it opens and then breaks.",
        "es_429": "An answer comes, with a status; here none comes.",
    },
    cause="duplicate_delivery",
    close_out="Nothing to repair; mend the way between worker and Elasticsearch.",
    scope=Scope(projection=SEARCH, op="upsert", reason="es_request_error", result="retry"),
)
