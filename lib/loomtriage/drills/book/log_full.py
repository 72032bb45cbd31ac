"""The disk of the log is full.

The worker writes a line, the system refuses it, and the worker goes on, for a log that cannot be
written is no reason to stop work. Counters move as ever, spans arrive, the lag is low. Only the log
ends, in the middle of a minute, as if the worker had died just then. It has not. Whoever greps for
the error finds none, and would find none if there were one.
"""

from __future__ import annotations

from loomtriage.contract.doubts import Doubt
from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent, Flat
from loomtriage.drills.faults.log_file import LogFull
from loomtriage.model import Scope

DRILL = Drill(
    id="log_full",
    title="a worker's log cannot be written",
    fault=LogFull(service="worker"),
    load=LoadPlan(per_s=5, ops=("upsert",)),
    expect=(
        Flat("processed", projection=SEARCH),
        Absent("retry_scheduled", projection=SEARCH),
        Absent("terminal_failed", projection=SEARCH),
    ),
    look_alikes={
        "none": "Work leaves lines; here it leaves none.",
        "stuck_reclaim": "A silent worker does no work; here only its log is silent.",
    },
    cause="unknown",
    doubt=Doubt.SILENT_LOG,
    close_out="Make room on the log's disk; nothing is to be replayed.",
    scope=Scope(projection=SEARCH),
)
