"""Some documents cannot be indexed, ever.

A release went out at noon. Since then, among hundreds of good rows, one in three fails, at its
first attempt, for good. No retry, no delay, no growing lag: the panel that everybody watches is
flat, and the one that nobody watches, rows that failed for good, climbs like a staircase. Each
of these rows carries a score that is not a number, and the mapping wants one. Waiting helps
nothing. The rows must be repaired, and then exactly these rows replayed.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Budget, Drill, LoadPlan
from loomtriage.drills.expect import Absent, Rises
from loomtriage.drills.faults.rows import PoisonRows
from loomtriage.model import Scope

DRILL = Drill(
    id="es_poison_4xx",
    title="documents that do not fit the mapping",
    fault=PoisonRows(every=3),
    load=LoadPlan(per_s=6, ops=("upsert",)),
    budget=Budget(max_failed_rows=600),
    expect=(
        Rises("terminal_failed", projection=SEARCH, reason="mapping_conflict"),
        Rises("dead_letter", projection=SEARCH),
        Absent("retry_scheduled", projection=SEARCH),
        Absent("failed", projection=SEARCH, reason="es_write_blocked"),
        Absent("bulk_requests", projection=SEARCH, result="partial"),
    ),
    look_alikes={
        "es_write_block": "All rows fail, with 403; here some do, with 400.",
        "es_bulk_partial": "Rows fail inside bulk requests; here each has a request of its own.",
        "es_429": "Rows are retried and get through; here none of these ever will.",
    },
    cause="es_poison_4xx",
    close_out="Repair the rows, then replay exactly these.",
    scope=Scope(projection=SEARCH, op="upsert", reason="mapping_conflict", result="failed"),
)
