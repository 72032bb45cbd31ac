"""How long does a plan over 100 000 failed rows take, and how much memory?

An outbox of the lab's own PostgreSQL with 100 000 failed and 100 000 done rows. The plan reads
them as the reading role would, buckets them and writes the plan file with every row's state.
Prints seconds and peak memory; last, how much of the allowed 3 s is left over: `ratio=2.1`.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = 100_000
ALLOWED_S, ALLOWED_MB = 3.0, 200.0


def plan(dsn: str) -> tuple[float, float]:
    """Seconds and peak memory (MB) of a plan in this process, its file included."""
    begun = time.perf_counter()
    from loomtriage.analysis.templates import skeleton
    from loomtriage.closeout.failed_rows import Asked
    from loomtriage.closeout.plan import Wanted, make_plan
    from loomtriage.closeout.plan_file import write_plan
    from loomtriage.contract.keys import SEARCH

    loaded = time.perf_counter()
    wanted = Wanted(asked=Asked(projection=SEARCH), most=ROWS)
    made = make_plan(dsn, wanted, template=skeleton)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        write_plan(made, path)
        size = path.stat().st_size
    assert len(made.rows) == ROWS
    taken = time.perf_counter() - loaded
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"loaded in {loaded - begun:.2f} s; {len(made.buckets)} bucket; file {size / 1e6:.1f} MB")
    print(f"{taken:.3f} {peak:.1f}")
    return taken, peak


def main() -> None:
    """Fill an outbox, and plan in a process of its own, whose memory is the plan's alone."""
    if len(sys.argv) > 1:
        plan(sys.argv[1])
        return
    from tests.closeout.failed import fill
    from tests.lab.pipeline import database

    with database() as dsn:
        fill(dsn, failed=ROWS, done=ROWS)
        runs = []
        for _ in range(3):
            done = subprocess.run(
                (sys.executable, __file__, dsn), stdout=subprocess.PIPE, text=True, check=True
            )
            print(done.stdout.splitlines()[0])
            runs.append(tuple(map(float, done.stdout.split()[-2:])))
    taken, peak = min(runs)
    print(f"plan of {ROWS} failed rows: {taken:.2f} s (allowed {ALLOWED_S:g}), {peak:.0f} MB")
    assert peak <= ALLOWED_MB
    print(f"ratio={ALLOWED_S / taken:.1f}")


if __name__ == "__main__":
    main()
