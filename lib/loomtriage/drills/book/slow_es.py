"""Elasticsearch is slow, and says nothing.

Every write succeeds. There is no error, no retry, no refused connection and no status but 200; each
takes half a second where it took five milliseconds. The worker writes one after the other, so it
does two a second where users make six, and the lag climbs steadily. No counter of failures moves,
so no rule that reads failures has a say. The honest answer is that something is slow, and where,
and that the signals at hand do not say why.
"""

from __future__ import annotations

from loomtriage.contract.doubts import Doubt
from loomtriage.contract.keys import SEARCH
from loomtriage.drills.drill import Drill, LoadPlan
from loomtriage.drills.expect import Absent, Falls, Rises
from loomtriage.drills.faults.answers import SlowAnswers
from loomtriage.model import Scope

DRILL = Drill(
    id="slow_es",
    title="Elasticsearch answers late and never wrongly",
    fault=SlowAnswers(delay_s=0.5),
    # A trace is found once its batch has ended, and the second slow one takes ten seconds.
    fault_s=18.0,
    load=LoadPlan(per_s=7, ops=("upsert",)),
    expect=(
        Falls("processed", projection=SEARCH),
        Rises("lag", projection=SEARCH),
        Absent("failed", projection=SEARCH),
        Absent("terminal_failed", projection=SEARCH),
        Absent("contention", projection=SEARCH),
        Absent("reclaimed", projection=SEARCH),
    ),
    look_alikes={
        "es_429": "Writes are rejected and retried; here every one succeeds.",
        "db_contention": "Claims come back empty; here they are full, and the writes are slow.",
    },
    cause="unknown",
    doubt=Doubt.SLOWER_STEP,
    close_out="Find out what Elasticsearch waits for; the rows drain by themselves.",
    scope=Scope(projection=SEARCH),
)
