"""One worker lives in another minute.

Its log lines come from the future, its spans begin before their parents, and the gauge of its last
success points to a time that has not come yet. It works: leases and retries are timed by the
database, on whose clock all workers agree. Nothing fails, nothing lags. Anybody who lines up the
signals by time finds causes after their effects. No rule knows this, and none should pretend to.
"""

from __future__ import annotations

from loomtriage.contract.doubts import Doubt
from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent
from loomtriage.drills.faults.worker import WorkerEnv
from loomtriage.model import Scope

DRILL = Drill(
    id="clock_skew",
    title="a worker's clock is wrong",
    fault=WorkerEnv(service="worker", skew_s=90.0),
    load=LoadPlan(per_s=5, ops=("upsert",)),
    expect=(
        Absent("retry_scheduled", projection=SEARCH),
        Absent("terminal_failed", projection=SEARCH),
    ),
    look_alikes={
        "none": "All times agree; here lines and spans of one worker lie outside the window.",
        "collector_down": "Exporters fail; here spans arrive, and lie outside the window.",
    },
    cause="unknown",
    doubt=Doubt.CLOCKS,
    close_out="Set the worker's clock; nothing is to be replayed.",
    scope=Scope(projection=SEARCH),
)
