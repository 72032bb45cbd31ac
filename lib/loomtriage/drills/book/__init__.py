"""Drill book: the drills in teaching order, one file each."""

from __future__ import annotations

from loomtriage.drills.drill import Drill
from loomtriage.model.collect import Collection, collect

DRILLS: Collection[Drill] = collect(
    "loomtriage.drills.book", "es_down", "placebo", attribute="DRILL", kind=Drill
)
