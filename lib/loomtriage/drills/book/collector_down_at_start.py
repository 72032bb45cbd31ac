"""A worker started while nobody took its traces.

The collector was down when the worker was deployed, and it is down still. The worker does not
mind: it starts, claims, writes, and says once in its log that its spans go nowhere. There is no
moment at which traces stop, for since the deploy there have been none, and the restart itself
looks like the culprit. Business as usual on every counter. Whoever waits for the traces to tell
what is wrong waits for the one thing that is.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent, Appears
from loomtriage.drills.faults.both import Both
from loomtriage.drills.faults.http import HttpRefuse
from loomtriage.drills.faults.worker import WorkerEnv

DRILL = Drill(
    id="collector_down_at_start",
    title="a worker starts without a trace collector",
    # The lease must outlast the worker's restart.
    fault=Both(parts=(HttpRefuse(target="otlp", lease_s=40), WorkerEnv(kind="worker_restart"))),
    load=LoadPlan(per_s=5, ops=("upsert",)),
    expect=(
        Appears("trace_export_failures", projection=SEARCH),
        Absent("retry_scheduled", projection=SEARCH),
        Absent("terminal_failed", projection=SEARCH),
    ),
    look_alikes={
        "es_down": "Business counters stand still; here they go on.",
        "none": "After a plain restart spans come again; here none does.",
    },
    cause="collector_down",
    close_out="Bring the collector back; check that the worker's spans come again.",
)
