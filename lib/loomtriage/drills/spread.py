"""Spread: how far do the key counts of a drill lie apart from seed to seed?

A seed varies load, onset and numbers. Counts may move with it; the verdict may not.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loomtriage.drills.book import DRILLS
from loomtriage.report.tables import Table

KEY = ("appears ", "rises ", "falls ")
"""Expectations whose count is the drill's signature; the others are at rest in every round."""
_CHECK = "drill."


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one performance came to.

    Attributes:
        drill: id in the drill book.
        state: of the drill.
        counts: the count of each key expectation, by what it expects.
    """

    drill: str
    state: str
    counts: Mapping[str, float]


def counted(result: Mapping[str, object]) -> Counted:
    """The counts of a drill's result, in the form that `drill.json` keeps.

    Raises:
        KeyError, TypeError, ValueError: it is no drill's result.
    """
    told = result["expectations"]
    if not isinstance(told, list):
        raise TypeError("expectations are no list")
    checks = {str(one["check"]).removeprefix(_CHECK): one["value"] for one in told}
    counts = {
        name: float(value)
        for name, value in checks.items()
        if name.startswith(KEY) and value is not None
    }
    return Counted(drill=str(result["id"]), state=str(result["state"]), counts=counts)


def spread_table(performed: Sequence[Counted]) -> Table:
    """One row per key count of each drill that was performed more than once."""
    rows = []
    for name in DRILLS:
        mine = [one for one in performed if one.drill == name]
        if len(mine) < 2:
            continue
        states = " ".join(sorted({one.state for one in mine}))
        for what in dict.fromkeys(what for one in mine for what in one.counts):
            values = [one.counts[what] for one in mine if what in one.counts]
            shown = (min(values), statistics.median(values), max(values))
            rows.append((name, what, str(len(values)), states, *(f"{value:g}" for value in shown)))
    return Table(
        id="spread",
        title="How far the counts of a drill lie apart",
        columns=("drill", "count", "rounds", "drill came to", "least", "median", "most"),
        rows=tuple(rows),
    )
