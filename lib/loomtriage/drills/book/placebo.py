"""Nothing happened.

Somebody says that search feels slow today. The panels are open within a minute, everybody looks
for the cause, and whoever looks long enough finds one: a retry here, a lag of four there. This
drill has no fault. It has the load of every other drill, or twice as much, or a worker that is
restarted as in any deploy; the same windows, the same questions, and one right answer: nothing
moved beyond what the hour before predicts.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent
from loomtriage.drills.fault import Placebo
from loomtriage.drills.faults.load import MoreLoad
from loomtriage.drills.faults.worker import WorkerEnv

DRILL = Drill(
    id="placebo",
    title="no fault at all",
    fault=Placebo(),
    variants=(MoreLoad(per_s=5), WorkerEnv(kind="worker_restart")),
    load=LoadPlan(per_s=5, ops=("upsert",)),
    expect=(
        Absent("failed", projection=SEARCH),
        Absent("retry_scheduled", projection=SEARCH),
        Absent("terminal_failed", projection=SEARCH),
    ),
    look_alikes={
        "es_down": "Retries appear and processed rows stop; here both go on as before.",
        "collector_down": "Spans stop and business goes on; here spans come as before.",
    },
    cause="none",
    close_out="Nothing to do; say so.",
)
