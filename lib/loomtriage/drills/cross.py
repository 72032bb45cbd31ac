"""Cross-matrix: which drills' expectations does a performance meet, its own and no other's?

Expectations that any incident would meet prove nothing. So every performance is held against the
whole book, and what it meets beyond its own cause is a fault of the book.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from loomtriage.drills.book import DRILLS
from loomtriage.drills.drill import Drill
from loomtriage.drills.expect import Appears, Falls, Observed, Rises
from loomtriage.model import Finding, State
from loomtriage.report.tables import Table
from loomtriage.stages.result import check_safely


def has_signature(drill: Drill) -> bool:
    """Whether a drill moves a metric: one that only expects calm looks like any healthy minute."""
    return any(isinstance(one, Appears | Rises | Falls) for one in drill.expect)


def judge(drill: Drill, observed: Observed) -> tuple[Finding, ...]:
    """What a drill's expectations say of a performance; one that throws is ERROR."""
    found: list[Finding] = []
    for expectation in drill.expect:
        found += check_safely(
            f"drill.{expectation.name}",
            lambda: (expectation.check(observed),),  # noqa: B023  (it is called at once)
        )
    return tuple(found)


def fits(observed: Observed) -> tuple[str, ...]:
    """Ids of the drills with a signature whose expectations all hold, in the order of the book."""
    return tuple(
        drill.id
        for drill in DRILLS.all(noun="drill").values()
        if has_signature(drill)
        and all(one.check(observed).state is State.OK for one in drill.expect)
    )


def strangers(drill: Drill, met: Iterable[str]) -> tuple[str, ...]:
    """Those of the met drills that have another cause than this one."""
    own = {drill.cause, *drill.accept}
    return tuple(name for name in met if DRILLS.get(name, noun="drill").cause not in own)


def cross_table(met: Mapping[str, Iterable[str]]) -> Table:
    """One row per performed drill: whether its own expectations held, and whose else.

    Args:
        met: ids of the drills whose expectations held, by performed drill.
    """
    rows = []
    for name in (name for name in DRILLS if name in met):
        drill, held = DRILLS.get(name, noun="drill"), tuple(met[name])
        own = ("yes" if name in held else "NO") if has_signature(drill) else "no signature"
        kin = [other for other in held if other != name and other not in strangers(drill, held)]
        alien = ", ".join(strangers(drill, held)) or "none"
        rows.append((name, own, ", ".join(kin) or "none", alien))
    columns = ("drill", "its own", "others of the same cause", "of other causes")
    return Table(
        id="cross", title="Whose expectations a drill meets", columns=columns, rows=tuple(rows)
    )
