"""Everything comes twice.

The worker has twice as much to do as users write. Nobody complains: each document is in the index
once, with the right text, and the deletes that come again find nothing left to delete and say so.
A producer retries requests that had succeeded, and writes the same event into the outbox a second
time. The projection absorbs it, as it was built to. It costs work, not data; the only wrong answer
is to clean up.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent, Flat, Rises
from loomtriage.drills.faults.rows import RowsTwice
from loomtriage.model import Scope

DRILL = Drill(
    id="duplicate_delivery",
    title="the producer sends events twice",
    fault=RowsTwice(every=1),
    load=LoadPlan(per_s=6, ops=("upsert", "delete")),
    expect=(
        Rises("idempotent_noop", projection=SEARCH),
        Flat("produced"),
        Flat("terminal_failed", projection=SEARCH),
        Absent("retry_scheduled", projection=SEARCH),
    ),
    look_alikes={
        "none": "More work alone would raise what the API produced; here that stands still.",
        "stuck_reclaim": "Rows are reclaimed before they come again; here none is.",
    },
    cause="duplicate_delivery",
    close_out="Nothing to repair; find the producer that retries what had succeeded.",
    scope=Scope(projection=SEARCH),
)
