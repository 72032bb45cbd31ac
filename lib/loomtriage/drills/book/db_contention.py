"""The rows are there, and nobody may have them.

The API takes every write. The outbox grows. The worker is up, answers its health checks, asks for
work five times a second and is told each time that there is none: it skips rows that are locked,
as it should, and all of them are. Elasticsearch idles, for nothing reaches it. In another window a
colleague has run a report in a transaction, was called away, and has not committed.
"""

from __future__ import annotations

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent, Falls, Flat, Rises
from loomtriage.drills.faults.lock import RowLock
from loomtriage.model import Scope

DRILL = Drill(
    id="db_contention",
    title="a foreign session holds the rows locked",
    fault=RowLock(),
    load=LoadPlan(per_s=5, ops=("upsert",)),
    expect=(
        Rises("contention", projection=SEARCH),
        Falls("processed", projection=SEARCH),
        Rises("lag", projection=SEARCH),
        Flat("terminal_failed", projection=SEARCH),
        Absent("failed", projection=SEARCH, reason="es_unreachable"),
    ),
    look_alikes={
        "es_down": "Attempts are made and fail; here hardly any is made.",
        "stuck_reclaim": "Rows are claimed by a silent worker; here they are not claimed at all.",
        "es_429": "Rows are retried with a status; here they wait untouched.",
    },
    cause="db_contention",
    close_out="End the session that holds the locks; the rows drain by themselves.",
    scope=Scope(projection=SEARCH),
)
