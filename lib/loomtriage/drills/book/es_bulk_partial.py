"""Bulk requests succeed, and rows inside them fail.

Elasticsearch answers 200 to every request, the client spans are green, and the dashboards of
whoever runs the cluster show nothing. Inside those good answers some items carry an error. The
worker reads them item by item: the good ones are done, the bad ones fail for good, and the request
as a whole is called partial. Whoever looks only at HTTP status will swear that all is well.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Budget, Drill, LoadPlan
from loomtriage.drills.expect import Absent, Appears, Rises
from loomtriage.drills.faults.rows import PoisonRows
from loomtriage.model import Scope

DRILL = Drill(
    id="es_bulk_partial",
    title="bulk requests fail in part",
    # A slow poll makes batches of several rows.
    services={"worker": {"OUTBOX_USE_ES_BULK": "1", "OUTBOX_POLL_INTERVAL_SECONDS": "0.8"}},
    fault=PoisonRows(every=3),
    load=LoadPlan(per_s=8, ops=("upsert",)),
    budget=Budget(max_failed_rows=600),
    expect=(
        Appears("bulk_requests", projection=SEARCH, result="partial"),
        Rises("terminal_failed", projection=SEARCH, reason="mapping_conflict"),
        Rises("bulk_item_failures", projection=SEARCH),
        Absent("retry_scheduled", projection=SEARCH),
    ),
    look_alikes={
        "es_poison_4xx": "The request itself is refused; here it succeeds and its items do not.",
        "es_write_block": "No item of a request succeeds; here most do.",
    },
    cause="es_bulk_partial",
    close_out="Repair the failed items, then replay exactly these rows.",
    scope=Scope(projection=SEARCH, op="upsert", reason="mapping_conflict", result="failed"),
)
