"""How many rows a second does a replay put back, with audit, and what does being killed cost?

100 000 failed rows in an outbox of the lab's own PostgreSQL (all its indexes; fsync off, as in
every lab). First the rate limit is lifted and one run goes through. Then the same with a
`kill -9` every two seconds and a new start each time: no row may be lost, none replayed twice.
Prints rows per second of both and, last, the undisturbed rate by the 5 000 asked for: `ratio=2.1`.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from loomtriage.closeout.plan_file import write_plan
from tests.closeout.failed import fill, planned, replayer, settling
from tests.closeout.killed import replay_under_fire, run_once
from tests.lab.pipeline import database

ROWS, BATCH, ASKED = 100_000, 1000, 5000.0
KILL_EVERY_S = 2.0


def main() -> None:
    """Measure both, each on a fresh outbox."""
    with database() as dsn, tempfile.TemporaryDirectory() as folder:
        role = replayer(dsn)
        fill(dsn, failed=ROWS)
        calm = Path(folder) / "calm.json"
        write_plan(planned(dsn, most=ROWS), calm)
        begun = time.perf_counter()
        with settling(dsn, most=1):
            run_once(role, str(calm), BATCH)
        rate = ROWS / (time.perf_counter() - begun)
        print(f"undisturbed: {rate:,.0f} rows/s with audit, canary and checks included")
        fill(dsn, failed=ROWS)
        fire = Path(folder) / "fire.json"
        write_plan(planned(dsn, most=ROWS), fire)
        with settling(dsn, most=1):
            told = replay_under_fire(dsn, role, fire, every_s=KILL_EVERY_S, batch=BATCH)
    print(
        f"killed {told.kills} times: {told.seconds:.1f} s, {told.lost} lost, {told.double} double,"
        f" {told.audited} audit rows"
    )
    assert (told.lost, told.double, told.audited) == (0, 0, ROWS)
    print(f"ratio={rate / ASKED:.1f}")


if __name__ == "__main__":
    main()
