"""Which child step is missing under a parent that used to have it?"""

from __future__ import annotations

import math
from dataclasses import dataclass

from loomtriage.analysis.steps.calls import Name, Tally
from loomtriage.analysis.surprise import FLOOR_EVENTS, gate

EXPECTED = 0.9
"""A child is expected when at least this share of the baseline's calls had it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A child step that calls of its parent lack.

    Attributes:
        parent, child: service and operation of each.
        absent, calls: calls of the parent without the child, and all, in the window.
        absent_before, calls_before: the same in the baseline.
        g2: signed G² of the 2×2 table absent/present × window/baseline.
    """

    parent: Name
    child: Name
    absent: int
    calls: int
    absent_before: int
    calls_before: int
    g2: float


def absences(now: Tally, then: Tally) -> tuple[Absence, ...]:
    """Expected children that are significantly more often absent, the most surprising first.

    A timeout, a worker that died and spans that got lost all look like this, and so does a call
    that was refused before it was made.
    """
    asked = [
        _absence(pair, had, now=now, then=then)
        for pair, had in then.children.items()
        if pair[0] in now.steps and had >= max(FLOOR_EVENTS, EXPECTED * then.steps[pair[0]].calls)
    ]
    bound = gate(len(asked))
    kept = [a for a in asked if a.g2 > bound and _extra(a) >= FLOOR_EVENTS]
    return tuple(sorted(kept, key=lambda a: (-a.g2, a.parent, a.child)))


def _absence(pair: tuple[Name, Name], had: int, *, now: Tally, then: Tally) -> Absence:
    calls, calls_before = now.steps[pair[0]].calls, then.steps[pair[0]].calls
    absent, absent_before = calls - now.children.get(pair, 0), calls_before - had
    return Absence(
        parent=pair[0],
        child=pair[1],
        absent=absent,
        calls=calls,
        absent_before=absent_before,
        calls_before=calls_before,
        g2=_g2_of_table((absent, calls), (absent_before, calls_before)),
    )


def _extra(found: Absence) -> float:
    return found.absent - found.calls * found.absent_before / found.calls_before


def _g2_of_table(first: tuple[int, int], second: tuple[int, int]) -> float:
    """G² of independence of a 2×2 table given as (hits, all) twice, signed by the first's rate.

    0.5 is added to each cell, so that an empty one stays finite.
    """
    cells = [(hit + 0.5, size - hit + 0.5) for hit, size in (first, second)]
    total = sum(map(sum, cells))
    by_column = [sum(column) for column in zip(*cells, strict=True)]
    value = 2.0 * sum(
        cell * math.log(cell * total / (sum(row) * column))
        for row in cells
        for cell, column in zip(row, by_column, strict=True)
    )
    rises = cells[0][0] / sum(cells[0]) - cells[1][0] / sum(cells[1])
    return math.copysign(max(value, 0.0), rises)
