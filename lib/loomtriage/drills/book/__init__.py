"""Drill book: the drills in teaching order, one file each."""

from __future__ import annotations

from loomtriage.drills.drill import Drill
from loomtriage.model.collect import Collection, collect

DRILLS: Collection[Drill] = collect(
    "loomtriage.drills.book",
    "es_down",
    "es_429",
    "es_429_forced",
    "es_poison_4xx",
    "es_write_block",
    "es_bulk_partial",
    "db_contention",
    "stuck_reclaim",
    "duplicate_delivery",
    "ack_lost",
    "projection_version",
    "collector_down",
    "collector_down_at_start",
    "placebo",
    "es_429_and_poison",
    "stuck_in_the_dark",
    "slow_es",
    "clock_skew",
    "log_full",
    attribute="DRILL",
    kind=Drill,
)
