"""Traces stop, and nothing else does.

The trace view is empty since half past two, and an empty trace view looks like an outage. It is
not one: rows come in, rows go out, the lag is what it was, no attempt fails. The workers' logs say
it plainly, if somebody reads them: spans cannot be exported, the collector refuses connections. The
business is well; what is gone is the sight of it, and whatever breaks now will break in the dark.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent, Appears, Flat
from loomtriage.drills.faults.http import HttpRefuse

DRILL = Drill(
    id="collector_down",
    title="the trace collector is down",
    fault=HttpRefuse(target="otlp"),
    load=LoadPlan(per_s=5, ops=("upsert",)),
    expect=(
        Appears("trace_export_failures", projection=SEARCH),
        Flat("processed", projection=SEARCH),
        Flat("terminal_failed", projection=SEARCH),
        Absent("retry_scheduled", projection=SEARCH),
    ),
    look_alikes={
        "es_down": "Business counters stand still; here they go on.",
        "none": "Fewer spans alone may be sampling; here the exporters say that they fail.",
    },
    cause="collector_down",
    close_out="Bring the collector back; spans that were dropped do not come again.",
)
