"""Contest: how often is the triage right in many blind rounds, beside two dumb baselines?"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from random import Random

from loomtriage.case import open_case
from loomtriage.contract.causes import CAUSES
from loomtriage.model import State
from loomtriage.report.tables import Table
from loomtriage.train.answers import Answers, Stamped
from loomtriage.train.dumb import by_words, commonest
from loomtriage.train.engine import answers_of, run_path
from loomtriage.train.pool import Recorded, content_of, pick
from loomtriage.train.score import Proven, Score, score
from loomtriage.train.shifted import Shift

ENGINE, WORDS, ALWAYS = "triage", "log words", "always"
LIMIT_S = 300.0
Z95 = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """One round and what everybody said in it.

    Attributes:
        n: number of the round.
        run: the recorded run.
        scores: by competitor.
        answers: by competitor.
    """

    n: int
    run: Recorded
    scores: Mapping[str, Score]
    answers: Mapping[str, Answers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """All rounds.

    Attributes:
        heats: in order.
        names: competitors, the triage first.
        live: how many rounds were performed for this contest.
        left_out: recorded runs that are no drill: only the triage's own verdict is known of them.
    """

    heats: tuple[Heat, ...]
    names: tuple[str, ...]
    live: int = 0
    left_out: int = 0

    @property
    def state(self) -> State:
        """NO_DATA without rounds; BAD when the triage named a wrong cause or a false alarm."""
        if not self.heats:
            return State.NO_DATA
        mine = [heat.scores[ENGINE] for heat in self.heats]
        if any(not (one.right or one.abstained) for one in mine):
            return State.BAD
        return State.OK if all(one.right for one in mine) else State.WARN

    def figures(self) -> Table:
        """The figures of each competitor, side by side, each with its sample size."""
        told = [self._of(name) for name in self.names]
        rows = [(measure, *(one[measure] for one in told)) for measure in told[0]] if told else []
        distinct = len({heat.run.folder for heat in self.heats})
        note = (
            f"{len(self.heats)} rounds on {distinct} different runs, {self.live} of them performed "
            f"for this; chance is {1 / len(CAUSES):.0%}. Intervals are Wilson's at 95 %, with as "
            "many trials as there are different runs: a run that is drawn again is no new one. "
            f"The baselines name no place. {_left_out(self.left_out)}"
        ).strip()
        return Table(
            id="contest", title="Graded blind", columns=("measure", *self.names),
            rows=tuple(rows), note=note,
        )  # fmt: skip

    def misses(self) -> Table:
        """Rounds in which the triage was not right."""
        rows = tuple(
            (
                str(heat.n),
                heat.run.truth.drill or heat.run.truth.run,
                " or ".join(heat.run.truth.causes),
                heat.answers[ENGINE].cause,
            )
            for heat in self.heats
            if not heat.scores[ENGINE].right
        )
        columns = ("round", "run", "cause", "triage said")
        return Table(id="misses", title="Not right", columns=columns, rows=rows)

    def as_json(self) -> dict[str, object]:
        """Figures and rounds, for machines."""
        return {
            "rounds": len(self.heats),
            "live": self.live,
            "left_out": self.left_out,
            "runs": len({heat.run.folder for heat in self.heats}),
            "state": self.state.value,
            "figures": {name: self._of(name) for name in self.names},
            "answers": [
                {
                    "round": heat.n,
                    "drill": heat.run.truth.drill,
                    "causes": list(heat.run.truth.causes),
                    **{name: heat.answers[name].cause for name in self.names},
                }
                for heat in self.heats
            ],
        }

    def _of(self, name: str) -> dict[str, str]:
        mine = [(heat.run, heat.scores[name]) for heat in self.heats]
        sound = [(run, one) for run, one in mine if not run.truth.is_fault]
        judged = [(run, one) for run, one in mine if run.truth.scope]
        several = [(run, one) for run, one in mine if one.faults > 1]
        briers = [one.brier for _, one in mine if one.brier is not None]
        return {
            "right cause": _share((run, one.right) for run, one in mine),
            "both faults named": _share((run, one.named == one.faults) for run, one in several),
            "place right in full": _share((run, _is_placed(one)) for run, one in judged),
            "abstained": _share((run, one.abstained) for run, one in mine),
            "placebo called a fault": _share((run, one.false_alarm) for run, one in sound),
            "Brier score": f"{sum(briers) / len(briers):.3f}" if briers else "none",
        }


def hold(  # noqa: PLR0913  (what is drawn, what was performed, and how it is answered)
    pool: Sequence[Recorded],
    *,
    rounds: int,
    seed: int,
    performed: Sequence[Recorded] = (),
    again: bool = True,
    say: Callable[[str], None],
) -> Contest:
    """Let the triage and the baselines take the same rounds.

    Runs that are no drill are left out: the triage would be graded by its own verdict.

    Args:
        pool: recorded runs to draw from.
        rounds: how many to draw.
        seed: draws runs, and by how much each window is off.
        performed: runs that were performed for this contest; each is a round of its own, answered
            when it was performed.
        again: run the triage on each drawn round anew, its window a little off; else the verdict
            that was recorded counts.
        say: told of each round.
    """
    drills = [run for run in pool if run.truth.drill]
    left_out = len(pool) - len(drills)
    if left_out:
        say(_left_out(left_out))
    chosen = [*drawn(drills, rounds, seed), *((run, None) for run in performed)]
    always = commonest(run.truth for run, _ in chosen) if chosen else Answers()
    names = (ENGINE, WORDS, f"{ALWAYS} {always.cause}")
    heats = []
    known: dict[Path, tuple[Answers, Answers]] = {}
    for n, (run, shift) in enumerate(chosen, start=1):
        if again and shift:
            mine, words = answered(run, shift)
        else:
            if run.folder not in known:  # its windows stay: it says the same each time
                known[run.folder] = answered(run, None)
            mine, words = known[run.folder]
        answers = dict(zip(names, (mine, words, always), strict=True))
        heats.append(
            Heat(
                n=n,
                run=run,
                answers=answers,
                scores={name: _scored(run, one) for name, one in answers.items()},
            )
        )
        is_right = "right" if heats[-1].scores[ENGINE].right else "not right"
        say(f"Round {n} of {len(chosen)}: {is_right}.")
    return Contest(heats=tuple(heats), names=names, live=len(performed), left_out=left_out)


def _left_out(n: int) -> str:
    return f"{n} run(s) left out: no drill says what they were." if n else ""


def drawn(pool: Sequence[Recorded], rounds: int, seed: int) -> list[tuple[Recorded, Shift | None]]:
    """The rounds that a seed draws: runs, and by how much each window is off."""
    draw = Random(f"contest {seed}")  # noqa: S311  (variety, no secret)
    found: list[tuple[Recorded, Shift | None]] = []
    for _ in range(rounds):
        run = pick(pool, lambda one: one.drill, level=None, draw=draw)
        found.append((run, Shift.drawn(draw)))
    return found


def answered(run: Recorded, shift: Shift | None) -> tuple[Answers, Answers]:
    """What the triage and the word count say of a run, both in the same window."""
    case = open_case("path", source=f"run:{run.folder}")
    if shift is None:
        return _recorded(run), by_words(case)
    return _triage(run, shift), by_words(shift(case))


def _triage(run: Recorded, shift: Shift) -> Answers:
    """The triage, blind: the folder that it is given tells it nothing."""
    folder = Path(tempfile.mkdtemp(prefix="loomtriage-round-"))
    try:
        found = run_path(f"run:{run.folder}", folder / "work", view=shift)
        return found.answers()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _recorded(run: Recorded) -> Answers:
    return answers_of(content_of(run.folder / "verdict.json"))


def _scored(run: Recorded, answers: Answers) -> Score:
    # Steps are told by the triage itself, so that it would be measured by its own word.
    truth = replace(run.truth, operation="", near=())
    sheet = (Stamped(after_s=0.0, answers=answers),)
    return score(truth, sheet, limit_s=LIMIT_S, proven=Proven())


def _is_placed(score: Score) -> bool:
    return any(part.name == "localise" and part.value == 1.0 for part in score.parts)


def _share(told: Iterable[tuple[Recorded, bool]]) -> str:
    """How many of how many, on how many different runs, and Wilson's interval of as many."""
    hits = list(told)
    if not hits:
        return "none"
    right, runs = sum(hit for _, hit in hits), len({run.folder for run, _ in hits})
    low, high = wilson(right * runs / len(hits), runs)
    return f"{right} of {len(hits)} on {runs} run(s) ({low:.0%} to {high:.0%})"


def wilson(hits: float, n: int) -> tuple[float, float]:
    """Wilson's interval at 95 % of a share."""
    share, z2 = hits / n, Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)
