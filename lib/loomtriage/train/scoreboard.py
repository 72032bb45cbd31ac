"""Scoreboard: how well does somebody triage, is it getting better, and what should come next?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf

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
from loomtriage.train.spread import LEAST, mean, middle
from loomtriage.train.taken import Taken, due, taken_of
from loomtriage.train.truth import NOTHING_WRONG

RIVALS = "Programs took the same rounds, without a clock; their pointers are not judged."
NOTE = (
    f"From {LEAST} rounds on, fewer rank nobody: medians with exact 95 % intervals of the ordered "
    f"values ({LEAST} values cover 94 %), the Brier score as a mean with a bootstrap interval."
)
SEEDED = "A round whose seed was given can be known before: it is counted, and not measured."


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoreboard:
    """All rounds of a team's folder, its chain and every promise checked.

    Attributes:
        taken: scored rounds in order.
        rivals: the same rounds as a program answered them, by its name.
        abandoned: rounds that do not score, by name and mode.
        who: whose progress is shown.
        left: what a killed writer left on the board, and what became of it.
    """

    taken: tuple[Taken, ...]
    rivals: tuple[Taken, ...] = ()
    abandoned: Mapping[tuple[str, str], int] = field(default_factory=dict)
    who: str = ""
    left: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Whose board it is and how many rounds it rests on; NO_DATA without any."""
        mine = self._mine()
        if not mine:
            says = f"No round to measure yet. Take one: loomtriage train --offline{self._seeded()}"
            told = Finding(check="board", state=State.NO_DATA, says=says)
            return judge((told, *self._left()))
        right = sum(one.is_right for one in mine)
        says = (
            f"{self.who or 'everybody'}: {right} of {len(mine)} causes right, median score "
            f"{middle(_numbers(mine, 'total'))}.{self._seeded()}"
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

    def _of_who(self) -> list[Taken]:
        return [one for one in self.taken if not self.who or one.who == self.who]

    def _mine(self) -> list[Taken]:
        """Rounds that can be measured: nobody could know what would come."""
        return [one for one in self._of_who() if not one.is_seeded]

    def _seeded(self) -> str:
        seeded = sum(one.is_seeded for one in self._of_who())
        return f" {seeded} seeded round(s) are not measured." if seeded else ""

    def _modes(self) -> list[str]:
        """The modes that there are; each is measured by itself, for their limits differ."""
        return sorted({one.mode for one in self.taken} | {mode for _, mode in self.abandoned})

    def _measures(self) -> Table:
        rows = [*self._rows(self.taken, self.abandoned), *self._rows(self.rivals, {})]
        columns = (
            "who",
            "rounds",
            "seeded, not measured",
            "abandoned",
            "cause right",
            "both faults named",
            "score",
            "Brier",
            "grounding",
            "placebo alarms",
        )
        seeded = SEEDED if any(one.is_seeded for one in self.taken) else ""
        note = " ".join(filter(None, [NOTE, seeded, RIVALS if self.rivals else ""]))
        return Table(id="measures", title="Measures", columns=columns, rows=tuple(rows), note=note)

    def _rows(
        self, taken: tuple[Taken, ...], abandoned: Mapping[tuple[str, str], int]
    ) -> Iterator[tuple[str, ...]]:
        is_split = len(self._modes()) > 1
        for name, mode in dict.fromkeys([*((one.who, one.mode) for one in taken), *abandoned]):
            mine = [one for one in taken if (one.who, one.mode) == (name, mode)]
            shown = f"{name}, {mode}" if is_split and mode else name
            yield _measured(shown, mine, abandoned=abandoned.get((name, mode), 0))

    def _times(self) -> Table:
        mine, modes = self._mine(), self._modes() or [""]
        rows = []
        for timer, mode in ((timer, mode) for timer in TIMERS for mode in modes):
            moments = [one.moment(timer) for one in mine if one.mode == mode]
            times = [at for at in moments if at is not None]
            name = f"{timer}, {mode}" if len(modes) > 1 and mode else timer
            reached = f"{sum(at < inf for at in times)} of {len(times)}"
            rows.append((name, reached, middle(times)))
        columns = ("timer", "reached", "seconds")
        note = f"{NOTE} What was not reached counts as longer than the limit."
        return Table(id="times", title="Times", columns=columns, rows=tuple(rows), note=note)

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
        mine = self._mine()
        people = dict.fromkeys(one.who for one in mine)
        rows = tuple(
            (name, cause, f"{wrong} of {n}", f"{late} round(s) ago", why)
            for name in people
            for cause, wrong, n, late, why in due([one for one in mine if one.who == name])
        )
        columns = ("who", "cause", "missed", "due", "why")
        return Table(id="next", title="What to train next", columns=columns, rows=rows)


def _measured(name: str, taken: list[Taken], *, abandoned: int) -> tuple[str, ...]:
    """One row of the measures."""
    mine = [one for one in taken if not one.is_seeded]
    sound = [one for one in mine if one.cause == NOTHING_WRONG]
    several = [one for one in mine if len(one.faults) > 1]
    whole = sum(all(map(one.named, one.faults)) for one in several)
    return (
        name,
        str(len(mine)),
        str(len(taken) - len(mine)),
        str(abandoned),
        f"{sum(one.is_right for one in mine)} of {len(mine)}",
        f"{whole} of {len(several)}",
        middle(_numbers(mine, "total")),
        mean(_numbers(mine, "brier"), digits=2),
        middle(_numbers(mine, "parts", "ground"), digits=2),
        f"{sum(bool(one.score.get('false_alarm')) for one in sound)} of {len(sound)}",
    )


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
    # What closed a round first counts, however often it was closed.
    closed = {one.round: one for one in reversed(entries) if one.kind is not Kind.OPENED}
    scored = [one for one in entries if one.kind is Kind.SCORED and closed[one.round] is one]
    lost = [one for one in closed.values() if one.kind is Kind.ABANDONED]
    lost += board.left_open(entries, now=datetime.now(UTC))
    names = {name: _named(one) for name, one in opened.items()}
    pairs = [(one, opened.get(one.round)) for one in scored]
    return Scoreboard(
        taken=tuple(
            taken_of(one, first, who=names.get(one.round, ("", ""))[0], told=one.content)
            for one, first in pairs
        ),
        rivals=tuple(
            taken_of(one, first, who=name, told=loose.mapping(told))
            for one, first in pairs
            for name, told in loose.mapping(one.content.get("rivals")).items()
        ),
        abandoned=Counter(names.get(one.round, ("", "")) for one in lost),
        who=who,
        left=tuple(left),
    )


def _named(opened: Entry) -> tuple[str, str]:
    """Who took a round, and in which mode."""
    return loose.word(opened.content, "who"), loose.word(opened.content, "mode")


def _numbers(taken: Sequence[Taken], *keys: str) -> list[float]:
    return [value for one in taken if (value := one.number(*keys)) is not None]
