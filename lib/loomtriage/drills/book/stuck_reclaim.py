"""A worker fell silent in the middle of its work.

Two workers share the outbox. One of them stops, between claiming rows and writing them, without a
word: no error, no last log line, no failed span, only a trace that ends in the air. The other one
goes on and takes over nearly everything; nearly, because the rows that the first one holds belong
to it until their lease ends. Then they are reclaimed and done, seconds late, by somebody else. If
the silent one comes back, it finds that its rows are not its own any more, and lets go.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent, Appears, Flat
from loomtriage.drills.faults.process import StopProcess
from loomtriage.model import Scope

DRILL = Drill(
    id="stuck_reclaim",
    title="a worker stops with rows claimed",
    # A pause between claim and write, so that there is a middle to stop in.
    services={"worker": {"OUTBOX_EXPERIMENT_PROCESS_SLEEP_SECONDS": "0.5"}, "worker-2": {}},
    fault=StopProcess(service="worker", owner="worker-1"),
    load=LoadPlan(per_s=8, ops=("upsert",)),
    silent=("worker",),
    expect=(
        Appears("reclaimed", projection=SEARCH),
        Flat("terminal_failed", projection=SEARCH),
        Absent("failed", projection=SEARCH, reason="es_unreachable"),
        Absent("trace_export_failures", projection=SEARCH),
    ),
    look_alikes={
        "db_contention": "A foreign session holds rows that nobody claimed; here a worker does.",
        "es_down": "Every attempt fails; here those of the other worker succeed.",
    },
    cause="stuck_reclaim",
    close_out="Nothing for the rows, reclaim has them; restart the worker that is gone.",
    scope=Scope(projection=SEARCH),
)
