"""One projection, two rules.

A deploy replaced the chronicle worker while the stream went on. No error, no lag, no retry: every
panel is as it was, for a version is no label and must not be one. But entries written before
eleven follow one rule and entries written after it follow another, and whoever compares two
chapters of the same book sees it. Only spans, log lines and rows carry the version; a metric
cannot tell.
"""

from __future__ import annotations

from loomtriage.contract.keys import CHRONICLE
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent, Flat
from loomtriage.drills.faults.worker import WorkerEnv
from loomtriage.model import Scope

DRILL = Drill(
    id="projection_version",
    title="the projection's version changes in mid-stream",
    fault=WorkerEnv(service="chronicle", env={"CHRONICLE_PROJECTION_VERSION": "2"}),
    load=LoadPlan(per_s=6, ops=("upsert",)),
    expect=(
        Absent("failed", projection=CHRONICLE),
        Absent("retry_scheduled", projection=CHRONICLE),
        Flat("terminal_failed", projection=CHRONICLE),
    ),
    look_alikes={
        "none": "A restart alone leaves one version; here spans, lines and rows carry two.",
        "duplicate_delivery": "Events are applied twice; here once each, by different rules.",
    },
    cause="projection_version",
    close_out="Decide which version is right, then rebuild what the other one wrote.",
    scope=Scope(projection=CHRONICLE),
)
