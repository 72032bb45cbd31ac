"""The index is read-only.

Storage ran low in the night, somebody set a write block to be safe, made room in the morning and
forgot the block. From one second to the next every write is refused with 403, and since the worker
rightly holds such an answer for final, every row fails for good at its first attempt. Lag stays
low, which looks like health. Search still answers, with yesterday's text. The data are good; not
one row needs repair. Lift the block, then replay them all.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Budget, Drill, LoadPlan
from loomtriage.drills.expect import Absent, Falls, Rises
from loomtriage.drills.faults.setting import IndexSetting
from loomtriage.model import Scope

DRILL = Drill(
    id="es_write_block",
    title="the index refuses writes",
    fault=IndexSetting(name="index.blocks.write", value="true", status=403),
    load=LoadPlan(per_s=5, ops=("upsert",)),
    budget=Budget(max_failed_rows=600),
    expect=(
        Rises("terminal_failed", projection=SEARCH, reason="es_write_blocked"),
        Falls("processed", projection=SEARCH),
        Rises("dead_letter", projection=SEARCH),
        Absent("retry_scheduled", projection=SEARCH),
        Absent("failed", projection=SEARCH, reason="mapping_conflict"),
    ),
    look_alikes={
        "es_poison_4xx": "Some rows fail, with 400; here all do, with 403.",
        "es_down": "No HTTP status comes back and rows are retried; here they fail for good.",
    },
    cause="es_write_block",
    close_out="Lift the block after a look at the disk, then replay every failed row.",
    scope=Scope(projection=SEARCH, op="upsert", reason="es_write_blocked", result="failed"),
)
