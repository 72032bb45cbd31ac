"""Pool: which rounds may be drawn, and how does a seed choose among them?

One round in five is a placebo. What makes a drill hard stands in its file: several right causes,
or none that any rule knows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import TypeVar

from loomtriage.contract.causes import BY_ID
from loomtriage.drills.book import DRILLS
from loomtriage.drills.drill import Drill
from loomtriage.drills.result import RESULT_FILE, is_proven
from loomtriage.errors import BundleDamaged, UsageError
from loomtriage.report import loose
from loomtriage.sources.manifest import NAME
from loomtriage.train.remedies import first_actions, replay_after
from loomtriage.train.truth import NOTHING_WRONG, UNKNOWN, Truth, drill_of, truth_of

PLACEBO_SHARE = 0.2
HARD_SHARE = 0.6
Item = TypeVar("Item")


class Level(StrEnum):
    """How hard the faults are that may come.

    BASIC has the plain form of each cause, FULL its disguises as well, ADVANCED mostly two faults
    at once and such as no rule knows.
    """

    BASIC = "basic"
    FULL = "full"
    ADVANCED = "advanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A recorded run that can be played back as a round, and what is true of it."""

    folder: Path
    truth: Truth

    @property
    def drill(self) -> Drill | None:
        """The drill of the book that was performed, None where it was none."""
        return drill_of(self.truth.as_json())


def level_of(drill: Drill | None) -> Level:
    """The lowest level at which a drill comes; an incident that is no drill comes at each."""
    if drill is None:
        return Level.BASIC
    if drill.accept or drill.cause == UNKNOWN:
        return Level.ADVANCED
    return Level.BASIC if drill.id in (drill.cause, "placebo") else Level.FULL


def pick(
    items: Sequence[Item],
    its_drill: Callable[[Item], Drill | None],
    *,
    level: Level | None,
    draw: Random,
) -> Item:
    """Choose one of these, at any level alike when none is given; the order of the items counts.

    Raises:
        UsageError: there is nothing to choose from at that level.
    """
    healthy = [one for one in items if _is_healthy(one)]
    faults = [one for one in items if not _is_healthy(one)]
    wish = draw.random()
    by_level = {own: [one for one in faults if level_of(its_drill(one)) is own] for own in Level}
    chosen = by_level[Level.BASIC]
    if level is None:
        chosen = faults
    elif level is not Level.BASIC:
        chosen = chosen + by_level[Level.FULL]
    if level is Level.ADVANCED and by_level[level] and (wish < HARD_SHARE or not chosen):
        chosen = by_level[level]
    # A pool is refused at each draw alike, not only when no placebo comes.
    if not chosen and (faults or not healthy):
        raise UsageError(
            f"No recorded run can be a round at level {level or 'any'}.",
            hint="Give a folder of drill runs with --source, or another --level.",
        )
    if healthy and (not faults or draw.random() < PLACEBO_SHARE):
        return draw.choice(healthy)
    return draw.choice(chosen)


def _is_healthy(item: object) -> bool:
    """Whether nothing is wrong: by what is true of a recorded run, drill or not."""
    if isinstance(item, Recorded):
        return not item.truth.is_fault
    return isinstance(item, Drill) and item.cause == NOTHING_WRONG


def lacking(runs: Sequence[Recorded]) -> str:
    """What a pool cannot give, one sentence; empty when it lacks nothing."""
    if any(_is_healthy(one) for one in runs):
        return ""
    return "No recorded run of this pool is healthy: no round of it is a placebo."


def recorded_runs(folder: Path) -> tuple[Recorded, ...]:
    """The runs of a folder of run folders whose truth is known, by name.

    A drill's run is true by its drill, unless it proved nothing; any other run by its verdict,
    unless that named no cause.

    Raises:
        UsageError: there is no such run.
        BundleDamaged: a run's own record cannot be read.
    """
    runs = sorted(path.parent for path in folder.glob(f"*/{NAME}"))
    found = [
        Recorded(folder=run, truth=truth)
        for run in runs
        if (run / "tape").is_dir() and (truth := _truth(run)) is not None
    ]
    if not found:
        raise UsageError(
            f"{folder.name} holds no recorded run whose cause is known.",
            hint="Give a folder of run folders: drills, or triages that named a cause.",
        )
    return tuple(found)


def recorded_step(folder: Path, drill: str) -> str:
    """The span that fails in a recorded run of that drill, empty where none is recorded."""
    with suppress(UsageError):
        return next(
            (one.truth.operation for one in recorded_runs(folder) if one.truth.drill == drill), ""
        )
    return ""


def _truth(run: Path) -> Truth | None:
    verdict, result = content_of(run / "verdict.json"), content_of(run / RESULT_FILE)
    cause, scope = loose.word(verdict, "cause"), loose.mapping(verdict.get("scope"))
    place = {key: str(value) for key, value in scope.items() if value and key != "env"}
    operation = loose.word(loose.mapping(verdict.get("step")), "operation")
    if place.get("result") not in ("retry", "failed"):
        operation = ""  # the step of rows that go well is no failing step
    name = loose.word(result, "id")
    if name in DRILLS:
        if not result.get("triage") or not is_proven(result):
            return None
        drill = DRILLS.get(name, noun="drill")
        is_right = cause in (drill.cause, *drill.accept)
        return truth_of(drill, run=run.name, operation=operation if is_right else "")
    if cause in ("", UNKNOWN):
        return None
    failed = place.get("result") == "failed" if place.get("result") else None
    return Truth(
        drill="",
        run=run.name,
        causes=(cause,),
        scope=place,
        operation=operation,
        actions=first_actions((cause,)) if cause != NOTHING_WRONG else (),
        replay=replay_after((cause,), failed=failed),
        close_out=BY_ID[cause].do,
    )


def content_of(path: Path) -> Mapping[str, object]:
    """A run's own JSON record, empty where it has none.

    Raises:
        BundleDamaged: it cannot be read.
    """
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError, RecursionError):
        raise BundleDamaged(
            f"{path.parent.name}/{path.name} cannot be read.",
            hint="Use an untouched copy of the run.",
        ) from None
