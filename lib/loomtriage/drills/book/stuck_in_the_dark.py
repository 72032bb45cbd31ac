"""A worker stops, and the traces are gone as well.

First the collector goes, which nobody notices, since nothing else changes. Then a worker falls
silent with rows claimed. The usual evidence for that is a trace that ends in the air, and there
are no traces to end. What is left is enough: a gauge of rows whose lease ran out, a counter of
rows that were reclaimed, and a log line of the other worker that names the previous owner.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent, Appears, Flat
from loomtriage.drills.faults.both import Both
from loomtriage.drills.faults.http import HttpRefuse
from loomtriage.drills.faults.process import StopProcess
from loomtriage.model import Scope

DRILL = Drill(
    id="stuck_in_the_dark",
    title="a worker stops while the trace collector is down",
    services={"worker": {"OUTBOX_EXPERIMENT_PROCESS_SLEEP_SECONDS": "0.5"}, "worker-2": {}},
    # The lease must outlast the search for a worker with rows claimed, and its death.
    fault=Both(parts=(HttpRefuse(target="otlp", lease_s=40), StopProcess())),
    load=LoadPlan(per_s=8, ops=("upsert",)),
    silent=("worker",),
    expect=(
        Appears("reclaimed", projection=SEARCH),
        Appears("trace_export_failures", projection=SEARCH),
        Flat("terminal_failed", projection=SEARCH),
        Absent("failed", projection=SEARCH, reason="es_unreachable"),
    ),
    look_alikes={
        "db_contention": "A foreign session holds rows that nobody claimed; here a worker does.",
        "es_down": "Every attempt fails; here those of the other worker succeed.",
    },
    cause="stuck_reclaim",
    accept=("collector_down",),
    close_out="Restart the silent worker, bring the collector back; reclaim has the rows.",
    scope=Scope(projection=SEARCH),
)
