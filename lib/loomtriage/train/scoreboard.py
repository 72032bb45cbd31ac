"""Scoreboard: how well does somebody triage, is it getting better, and what should come next?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from loomtriage.errors import UsageError
from loomtriage.model import Finding, State, Verdict, judge
from loomtriage.report import loose
from loomtriage.report.canvas import Chart
from loomtriage.report.tables import Table
from loomtriage.train import board
from loomtriage.train.board import Entry, Kind
from loomtriage.train.ordering import board_of
from loomtriage.train.progress import draw_scores, draw_times
from loomtriage.train.score import TIMERS
from loomtriage.train.spread import LEAST, middle
from loomtriage.train.truth import NOTHING_WRONG

RIVALS = "Programs took the same rounds, without a clock; their pointers are not judged."
NOTE = f"Medians with 95 % bootstrap intervals, from {LEAST} rounds on; fewer rank nobody."


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One scored round.

    Attributes:
        who: name on the board.
        at: when it was closed, aware UTC.
        cause: what it was, the fault's own first cause.
        said: the cause that was said.
        score: as the board keeps it.
    """

    who: str
    at: datetime
    cause: str
    said: str
    score: Mapping[str, object]

    @property
    def is_right(self) -> bool:
        """Whether an accepted cause was named."""
        return bool(self.score.get("right"))

    def number(self, *keys: str) -> float | None:
        """A number of the score by its path, None where it was not measured."""
        value: object = self.score
        for key in keys:
            value = loose.mapping(value).get(key)
        return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoreboard:
    """All rounds of a team's folder, its chain and every promise checked.

    Attributes:
        taken: scored rounds in order.
        rivals: the same rounds as a program answered them, by its name.
        abandoned: rounds that do not score, by name.
        who: whose progress is shown.
        left: what a killed writer left on the board, and what became of it.
    """

    taken: tuple[Taken, ...]
    rivals: tuple[Taken, ...] = ()
    abandoned: Mapping[str, int] = field(default_factory=dict)
    who: str = ""
    left: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Whose board it is and how many rounds it rests on; NO_DATA without any."""
        mine = self._mine()
        if not mine:
            says = "No scored round yet. Take one: loomtriage train --offline"
            told = Finding(check="board", state=State.NO_DATA, says=says)
            return judge((told, *self._left()))
        right = sum(one.is_right for one in mine)
        says = (
            f"{self.who or 'everybody'}: {right} of {len(mine)} causes right, median score "
            f"{middle(_numbers(mine, 'total'))}."
        )
        told = Finding(check="board", state=State.OK, says=says, n=len(mine))
        return judge((told, *self._left()))

    def table(self, name: str) -> Table:
        """The table of that id: `measures`, `times`, `confusion` or `next`.

        Raises:
            UsageError: there is none of that name.
        """
        tables = {
            "measures": self._measures,
            "times": self._times,
            "confusion": self._confusion,
            "next": self._next,
        }
        if name not in tables:
            raise UsageError(f"No table {name[:40]!r}.", hint=f"There are {', '.join(tables)}.")
        return tables[name]()

    def chart(self, name: str) -> Chart:
        """The chart of that id: `scores` or `times`, over rounds.

        Raises:
            UsageError: there is none of that name.
        """
        charts = {"scores": draw_scores, "times": draw_times}
        if name not in charts:
            raise UsageError(f"No chart {name[:40]!r}.", hint=f"There are {', '.join(charts)}.")
        mine = self._mine()
        if name == "scores":
            return draw_scores([one.number("total") or 0.0 for one in mine])
        return draw_times(
            {timer: [one.number("times_s", timer) for one in mine] for timer in TIMERS}
        )

    def _left(self) -> tuple[Finding, ...]:
        return tuple(Finding(check="board.end", state=State.WARN, says=says) for says in self.left)

    def _mine(self) -> tuple[Taken, ...]:
        return tuple(one for one in self.taken if not self.who or one.who == self.who)

    def _measures(self) -> Table:
        rows = []
        people = [*(one.who for one in self.taken), *self.abandoned]
        for name in dict.fromkeys([*people, *(one.who for one in self.rivals)]):
            taken = self.taken if name in people else self.rivals
            mine = [one for one in taken if one.who == name]
            sound = [one for one in mine if one.cause == NOTHING_WRONG]
            alarms = sum(bool(one.score.get("false_alarm")) for one in sound)
            rows.append(
                (
                    name,
                    str(len(mine)),
                    str(self.abandoned.get(name, 0)),
                    f"{sum(one.is_right for one in mine)} of {len(mine)}",
                    middle(_numbers(mine, "total")),
                    middle(_numbers(mine, "brier"), digits=2),
                    middle(_numbers(mine, "parts", "ground"), digits=2),
                    f"{alarms} of {len(sound)}",
                )
            )
        columns = ("who", "rounds", "abandoned", "cause right", "score", "Brier", "grounding",
                   "placebo alarms")  # fmt: skip
        note = f"{NOTE} {RIVALS}" if self.rivals else NOTE
        return Table(id="measures", title="Measures", columns=columns, rows=tuple(rows), note=note)

    def _times(self) -> Table:
        mine = self._mine()
        found = {timer: _numbers(mine, "times_s", timer) for timer in TIMERS}
        rows = tuple((timer, str(len(times)), middle(times)) for timer, times in found.items())
        columns = ("timer", "reached", "seconds")
        note = f"{NOTE} Only rounds in which the moment was reached, of {len(mine)}."
        return Table(id="times", title="Times", columns=columns, rows=rows, note=note)

    def _confusion(self) -> Table:
        mine = self._mine()
        causes = sorted({one.cause for one in mine})
        said = sorted({one.said for one in mine})
        rows = tuple(
            (
                cause,
                *(
                    str(sum(one.cause == cause and one.said == other for one in mine) or "")
                    for other in said
                ),
            )
            for cause in causes
        )
        columns = ("it was, you said:", *(name or "nothing" for name in said))
        return Table(id="confusion", title="What was taken for what", columns=columns, rows=rows)

    def _next(self) -> Table:
        rows = tuple(
            (cause, f"{wrong} of {n}", f"{late} round(s) ago" if late >= 0 else "", why)
            for cause, wrong, n, late, why in due(self._mine())
        )
        columns = ("cause", "missed", "due", "why")
        return Table(id="next", title="What to train next", columns=columns, rows=rows)


def due(taken: Sequence[Taken]) -> list[tuple[str, int, int, int, str]]:
    """Causes to train next: most overdue first, and of those the most often missed.

    A cause comes again after 2^k rounds, k being how often it was right in a row: what is missed
    comes at once, what sits comes seldom.
    """
    found = []
    for cause in dict.fromkeys(one.cause for one in taken):
        mine = [one for one in taken if one.cause == cause]
        streak = 0
        for one in reversed(mine):
            if not one.is_right:
                break
            streak += 1
        last = max(n for n, one in enumerate(taken) if one.cause == cause)
        late = (len(taken) - last) - 2**streak
        wrong = [one.said or "nothing" for one in mine if not one.is_right]
        why = f"taken for {', '.join(dict.fromkeys(wrong))}" if wrong else f"right {streak} times"
        if late >= 0:
            found.append((cause, len(wrong), len(mine), late, why))
    return sorted(found, key=lambda one: (-one[1] / one[2], -one[3], one[0]))


def scoreboard(board_folder: str = "", *, who: str = "") -> Scoreboard:
    """Read a team's folder.

    Args:
        board_folder: the folder; empty for your own.
        who: whose progress is shown; empty for everybody's.

    Raises:
        BundleDamaged: the board was edited; names the line and the round.
    """
    left: list[str] = []
    entries = board.read(board_of(board_folder), say=left.append)
    opened = {one.round: one for one in entries if one.kind is Kind.OPENED}
    names = {name: loose.word(one.content, "who") for name, one in opened.items()}
    # What closed a round first counts, however often it was closed.
    closed = {one.round: one for one in reversed(entries) if one.kind is not Kind.OPENED}
    scored = [one for one in entries if one.kind is Kind.SCORED and closed[one.round] is one]
    lost = [one for one in closed.values() if one.kind is Kind.ABANDONED]
    lost += board.left_open(entries, now=datetime.now(UTC))
    gone: dict[str, int] = {}
    for one in lost:
        name = names.get(one.round, "")
        gone[name] = gone.get(name, 0) + 1
    return Scoreboard(
        taken=tuple(_taken(one, one.content, names.get(one.round, "")) for one in scored),
        rivals=tuple(
            _taken(one, loose.mapping(told), name)
            for one in scored
            for name, told in loose.mapping(one.content.get("rivals")).items()
        ),
        abandoned=gone,
        who=who,
        left=tuple(left),
    )


def _taken(entry: Entry, told: Mapping[str, object], who: str) -> Taken:
    """One round as somebody answered it, whose answers and score are told."""
    answers, score = loose.mapping(told.get("answers")), loose.mapping(told.get("score"))
    causes = [str(c) for c in loose.items(loose.mapping(entry.content.get("truth")).get("causes"))]
    said = loose.word(answers, "cause") or (NOTHING_WRONG if answers.get("wrong") == "no" else "")
    # A second right cause is no confusion.
    cause = said if score.get("right") and said in causes else causes[0] if causes else ""
    return Taken(who=who, at=entry.at, cause=cause, said=said, score=score)


def _numbers(taken: Sequence[Taken], *keys: str) -> list[float]:
    return [value for one in taken if (value := one.number(*keys)) is not None]
