"""Grading: how often did the blind triage name what the drills had done?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loomtriage.contract.causes import CAUSES
from loomtriage.drills.book import DRILLS
from loomtriage.drills.cross import cross_table
from loomtriage.drills.result import RESULT_FILE, is_observed, is_proven
from loomtriage.drills.spread import Counted, counted, spread_table
from loomtriage.errors import BundleDamaged
from loomtriage.model import Scope, State
from loomtriage.report.tables import Table
from loomtriage.sources.manifest import NAME, read_manifest

UNKNOWN, HEALTHY = "unknown", "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One drill that was answered blind.

    Attributes:
        drill: id in the drill book.
        seed: what drew its load and numbers.
        accepted: the causes that are right, the drill's own first.
        answer: the cause that the triage gave, empty when it was never asked.
        is_valid: whether the drill proved its fault; others are counted, and not graded.
        is_placed: whether the triage's scope agrees with the drill's, None where that has none.
        counted: its key counts.
        fits: drills whose expectations were met, see `cross`.
        is_observed: whether the triage saw what the drill demands beside an unknown cause.
        names_all: whether it named every fault, None where no more than one stood.
    """

    drill: str
    seed: int
    accepted: tuple[str, ...]
    answer: str
    is_valid: bool
    is_placed: bool | None
    counted: Counted
    fits: tuple[str, ...] = ()
    is_observed: bool = True
    names_all: bool | None = None

    @property
    def is_right(self) -> bool:
        """Whether a right cause was named; `unknown` where no rule may know, and for a reason."""
        return self.answer in self.accepted and self.is_observed

    @property
    def abstained(self) -> bool:
        """Whether the answer was `unknown` although there was one, or for want of data."""
        return self.answer == UNKNOWN and not self.is_right


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """All rounds together.

    Attributes:
        rounds: valid ones.
        invalid: how many drills proved nothing, or were never answered.
    """

    rounds: tuple[Round, ...]
    invalid: int

    @property
    def right(self) -> int:
        """Rounds with a right cause."""
        return sum(one.is_right for one in self.rounds)

    @property
    def placebos(self) -> tuple[Round, ...]:
        """Rounds without any fault."""
        return tuple(one for one in self.rounds if one.accepted[0] == HEALTHY)

    @property
    def false_alarms(self) -> int:
        """Placebo rounds that were answered with a fault."""
        return sum(one.answer not in (HEALTHY, UNKNOWN) for one in self.placebos)

    @property
    def commonest(self) -> tuple[str, int]:
        """The cause that is right most often, and how often: what a dumb answer would get."""
        return Counter(one.accepted[0] for one in self.rounds).most_common(1)[0]

    @property
    def state(self) -> State:
        """NO_DATA without rounds; BAD when a wrong cause was named; WARN for abstentions."""
        if not self.rounds:
            return State.NO_DATA
        if any(not (one.is_right or one.abstained) for one in self.rounds):
            return State.BAD
        return State.OK if self.right == len(self.rounds) else State.WARN

    def figures(self) -> Table:
        """The numbers that stand for the triage, each with its sample size."""
        total = len(self.rounds)
        scoped = [one.is_placed for one in self.rounds if one.is_right]
        judged = [placed for placed in scoped if placed is not None]
        several = [one.names_all for one in self.rounds if one.names_all is not None]
        rows = [
            ("right cause", f"{self.right} of {total}"),
            ("right scope, where the cause is right", f"{sum(judged)} of {len(judged)}"),
            ("every fault named, where several stood", f"{sum(several)} of {len(several)}"),
            ("abstained", f"{sum(one.abstained for one in self.rounds)} of {total}"),
            ("placebo called a fault", f"{self.false_alarms} of {len(self.placebos)}"),
            ("by chance, any cause alike", f"{total / len(CAUSES):.1f} of {total}"),
            ("invalid drills, not graded", f"{self.invalid}"),
        ]
        if total:
            cause, count = self.commonest
            rows.insert(6, (f"always answering {cause}", f"{count} of {total}"))
        return Table(
            id="figures", title="Graded blind", columns=("measure", "rounds"), rows=tuple(rows)
        )

    def confusion(self) -> Table:
        """Each drill in the order of the book, and what it was taken for beside the right cause."""
        rows = []
        for name in DRILLS:
            mine = [one for one in self.rounds if one.drill == name]
            wrong = Counter(one.answer for one in mine if not one.is_right)
            others = ", ".join(f"{count} × {answer}" for answer, count in sorted(wrong.items()))
            if mine:
                right = sum(one.is_right for one in mine)
                rows.append((name, mine[0].accepted[0], str(len(mine)), str(right), others))
        return Table(
            id="confusion",
            title="Each drill and what it was taken for",
            columns=("drill", "cause", "rounds", "right", "other answers"),
            rows=tuple(rows),
        )

    def cross(self) -> Table:
        """Whose expectations each drill met: its own in every round, others' in any."""
        met = {}
        for name in {one.drill for one in self.rounds}:
            fits: list[set[str]] = [set(one.fits) for one in self.rounds if one.drill == name]
            always, ever = set.intersection(*fits), set.union(*fits)
            met[name] = [one for one in DRILLS if one in (always if one == name else ever)]
        return cross_table(met)

    def spread(self) -> Table:
        """The key counts of drills that were performed more than once."""
        return spread_table([one.counted for one in self.rounds])

    def as_json(self) -> dict[str, object]:
        """Counts and rounds, for machines."""
        return {
            "rounds": len(self.rounds),
            "right": self.right,
            "abstained": sum(one.abstained for one in self.rounds),
            "placebos": len(self.placebos),
            "false_alarms": self.false_alarms,
            "invalid": self.invalid,
            "answers": [
                {"drill": one.drill, "seed": one.seed, "answer": one.answer, "right": one.is_right}
                for one in self.rounds
            ],
        }


def read_board(folders: Iterable[Path]) -> Board:
    """Grade every sealed drill run in these folders of runs, each verified first.

    Raises:
        BundleDamaged: a run does not match its manifest, or holds no readable result.
    """
    rounds = list(_rounds(folders))
    return Board(
        rounds=tuple(one for one in rounds if one.is_valid),
        invalid=sum(not one.is_valid for one in rounds),
    )


def _rounds(folders: Iterable[Path]) -> Iterator[Round]:
    for folder in folders:
        for file in sorted(folder.glob(f"*/{RESULT_FILE}")):
            if (file.parent / NAME).is_file():
                read_manifest(file.parent).verify(file.parent)
                yield _round(file)


def _round(file: Path) -> Round:
    try:
        result = json.loads(file.read_bytes())
        drill = DRILLS.get(str(result["id"]), noun="drill")
        told = result["triage"] or {}
        answer = str(told.get("cause", ""))
        grades = {str(one["check"]): str(one["state"]) for one in result["expectations"]}
        broken = result["interrupted"] or result["state"] == State.ERROR
        return Round(
            drill=drill.id,
            seed=int(result["seed"]),
            accepted=(drill.cause, *drill.accept),
            answer=answer,
            is_valid=bool(answer) and not broken and is_proven(result),
            is_placed=grades.get("drill.scope") == State.OK if drill.scope != Scope() else None,
            counted=counted(result),
            fits=tuple(str(name) for name in result.get("fits", ())),
            is_observed=is_observed(drill, told.get("doubts", ())),
            names_all={*drill.faults} <= {answer, *told.get("also", ())}
            if len(drill.faults) > 1
            else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BundleDamaged(
            f"{file.parent.name}/{file.name} is no drill's result.",
            hint="Run the drill again with this version of loomtriage.",
        ) from None
