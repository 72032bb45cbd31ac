"""Two things at once.

Elasticsearch is short of room and rejects every second write, and among the rows are some that no
cluster in the world would take. The retries are loud: hundreds of them, all with 429, and the lag
that comes with them. The poison is quiet: a row here, a row there, failed for good at the first
attempt that gets through. Give Elasticsearch room and the noise ends, the lag falls, everybody goes
home. The dead rows stay, and nobody has looked at them.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Budget, Drill, LoadPlan
from loomtriage.drills.expect import Absent, Appears, Rises
from loomtriage.drills.faults.both import Both
from loomtriage.drills.faults.http import HttpAnswer
from loomtriage.drills.faults.rows import PoisonRows
from loomtriage.model import Scope

DRILL = Drill(
    id="es_429_and_poison",
    title="rejected writes and poison documents together",
    fault=Both(parts=(HttpAnswer(status=429, ratio=0.5), PoisonRows(every=3))),
    load=LoadPlan(per_s=5, ops=("upsert",)),
    budget=Budget(max_failed_rows=600),
    expect=(
        Appears("retry_scheduled", projection=SEARCH, reason="rate_limited"),
        Rises("terminal_failed", projection=SEARCH, reason="mapping_conflict"),
        Absent("failed", projection=SEARCH, reason="es_unreachable"),
    ),
    look_alikes={
        "es_down": "No HTTP status comes back at all; here 429 and 400 do.",
        "es_bulk_partial": "Both come inside one request; here each row has its own.",
    },
    cause="es_429",
    accept=("es_poison_4xx",),
    close_out="Give Elasticsearch room, repair the poison, then replay exactly the failed rows.",
    scope=Scope(projection=SEARCH, op="upsert"),
)
