"""How long does the diagnosis of an outbox with 1 000 000 rows take, 1 % of them failed?

Diagnosis is what `close-out plan` does before it writes: statuses, buckets with their strategies,
and whether an index would help. Once with the indexes that Wordloom's schema has, and once
without those on status, where one index is proposed and none is made. Prints seconds of both and,
last, what is left of the allowed second with Wordloom's indexes: `ratio=2.0`.
"""

from __future__ import annotations

import time

import psycopg

from tests.closeout.failed import fill, planned
from tests.lab.pipeline import database

ROWS, FAILED, ALLOWED_S = 1_000_000, 10_000, 1.0
REPEATS = 5
ON_STATUS = (
    "idx_search_outbox_claim",
    "idx_search_outbox_processing_started",
    "idx_search_outbox_error_reason",
    "ix_search_outbox_events_status",
)


def best(dsn: str) -> tuple[float, str]:
    """Seconds of the fastest of some diagnoses, and the index that is proposed."""
    taken, proposed = [], ""
    for _ in range(REPEATS):
        begun = time.perf_counter()
        found = planned(dsn)
        taken.append(time.perf_counter() - begun)
        assert found.counts == {"done": ROWS - FAILED, "failed": FAILED}
        assert sum(bucket.n for bucket in found.buckets) == FAILED
        proposed = found.index
    return min(taken), proposed


def main() -> None:
    """Fill the outbox once; measure with and without the indexes on status."""
    with database() as dsn:
        fill(dsn, failed=FAILED, done=ROWS - FAILED)
        fast, proposed = best(dsn)
        print(f"with Wordloom's indexes: {fast:.2f} s; proposed: {proposed or 'none'}")
        assert not proposed
        with psycopg.connect(dsn, autocommit=True) as owner:
            for name in ON_STATUS:
                owner.execute(f"DROP INDEX {name}".encode())
            slow, proposed = best(dsn)
            print(f"without those on status: {slow:.2f} s; proposed: {proposed}")
            assert proposed
            made = owner.execute("SELECT to_regclass('idx_search_outbox_events_failed')").fetchone()
            assert made == (None,)
            owner.execute(proposed.encode())
            owner.execute("ANALYZE search_outbox_events")
            print(f"with the proposed one: {best(dsn)[0]:.2f} s")
    print(f"ratio={ALLOWED_S / fast:.1f}")


if __name__ == "__main__":
    main()
