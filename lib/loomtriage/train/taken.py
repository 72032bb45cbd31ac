"""Taken: what does the board say of one scored round, in a form that can be counted?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf

from loomtriage.report import loose
from loomtriage.train.board import Entry
from loomtriage.train.truth import NOTHING_WRONG


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One scored round, as a person or a program answered it.

    Attributes:
        who: name on the board.
        at: when it was closed, aware UTC.
        cause: what it was: the cause that was said where that was right, else the fault's own.
        said: what was said, several causes with commas between.
        score: as the board keeps it.
        faults: all causes that stood at once.
        mode: live or offline.
        is_seeded: whether its seed was given, so that somebody may have known what comes.
    """

    who: str
    at: datetime
    cause: str
    said: str
    score: Mapping[str, object]
    faults: tuple[str, ...] = ()
    mode: str = ""
    is_seeded: bool = False

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

    def moment(self, timer: str) -> float | None:
        """Seconds to a moment, infinite when it was not reached, None where there is none."""
        at = self.number("times_s", timer)
        has_place = self.cause != NOTHING_WRONG and self.number("parts", "localise") is not None
        if at is None and timer != "TTR" and (timer != "TTL" or has_place):
            return inf
        return at

    def named(self, cause: str) -> bool:
        """Whether that one of the faults was named, with no wrong cause beside it."""
        return self.is_right and (len(self.faults) < 2 or cause in self.said.split(", "))


def taken_of(entry: Entry, opened: Entry | None, *, who: str, told: Mapping[str, object]) -> Taken:
    """One round as somebody answered it.

    Args:
        entry: what closed it, with its truth.
        opened: what opened it.
        who: who answered.
        told: those answers and their score.
    """
    answers, score = loose.mapping(told.get("answers")), loose.mapping(told.get("score"))
    truth, content = loose.mapping(entry.content.get("truth")), opened.content if opened else {}
    causes = _words(truth, "causes")
    said = loose.word(answers, "cause") or (NOTHING_WRONG if answers.get("wrong") == "no" else "")
    # A second right cause is no confusion.
    cause = said if score.get("right") else "".join(causes[:1])
    return Taken(
        who=who,
        at=entry.at,
        cause=cause,
        said=said,
        score=score,
        faults=_words(truth, "faults") or causes[:1],
        mode=loose.word(content, "mode"),
        is_seeded=loose.word(content, "drawn").startswith("seed"),
    )


def due(taken: list[Taken]) -> list[tuple[str, int, int, int, str]]:
    """Causes that one person trains next: most often missed first, then most overdue.

    A cause comes again after 2^k rounds, k being how often it was right in a row: what is missed
    comes at once, what sits comes seldom.
    """
    found = []
    for cause in dict.fromkeys(name for one in taken for name in _faults(one)):
        mine = [one for one in taken if cause in _faults(one)]
        streak = 0
        for one in reversed(mine):
            if not one.named(cause):
                break
            streak += 1
        last = max(n for n, one in enumerate(taken) if cause in _faults(one))
        late = (len(taken) - last) - 2**streak
        wrong = [one.said or "nothing" for one in mine if not one.named(cause)]
        why = f"taken for {', '.join(dict.fromkeys(wrong))}" if wrong else f"right {streak} times"
        if late >= 0:
            found.append((cause, len(wrong), len(mine), late, why))
    return sorted(found, key=lambda one: (-one[1] / one[2], -one[3], one[0]))


def _faults(one: Taken) -> tuple[str, ...]:
    return one.faults or (one.cause,)


def _words(told: Mapping[str, object], key: str) -> tuple[str, ...]:
    return tuple(map(str, loose.items(told.get(key))))
