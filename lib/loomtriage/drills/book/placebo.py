"""Nothing happened.

Somebody says that search feels slow today. The panels are open within a minute, everybody looks
for the cause, and whoever looks long enough finds one: a retry here, a lag of four there. This
drill has no fault. It has the load of every other drill, the same windows and the same
questions, and one right answer: nothing moved beyond what the hour before predicts.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Flat
from loomtriage.drills.fault import Placebo

DRILL = Drill(
    id="placebo",
    title="no fault at all",
    fault=Placebo(),
    load=LoadPlan(per_s=5, ops=("upsert",)),
    expect=(
        Flat("processed", projection=SEARCH),
        Flat("failed", projection=SEARCH),
        Flat("terminal_failed", projection=SEARCH),
    ),
    look_alikes={
        "es_down": "Retries appear and processed rows stop; here both go on as before.",
        "collector_down": "Spans stop and business goes on; here spans come as before.",
    },
    cause="none",
    close_out="Nothing to do; say so.",
)
