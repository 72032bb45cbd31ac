"""Which kinds of log line are new, gone, or more frequent than the baseline predicts?"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from loomtriage.analysis.surprise import gate, signed_g2

SKELETON_CAP = 120
"""Characters of a masked message that tell kinds apart; exception texts are endless."""
MOST_KEYS = 500
"""Distinct kinds that are kept apart; what comes after them is counted as one."""
OVERFLOW = "(further kinds of line)"
NOVELTY_NEEDS = 100
"""Novelty is not claimed from a baseline with fewer lines than this (rule of three)."""

# Each alternative begins with a fixed class and is bounded, so masking is linear in the text.
_MASK = re.compile(
    r"(?P<uuid>\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b)"
    r"|(?P<hex>\b[0-9a-fA-F]{16,64}\b)"
    r"|(?P<n>\d{1,30}(?:\.\d{1,30})?)"
    r"|(?P<text>'[^'\n]{0,80}'|\"[^\"\n]{0,80}\")"
)
_ATTENTION = {"WARNING", "WARN", "ERROR", "CRITICAL", "FATAL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One kind of line.

    Attributes:
        key: the event name, or logger, level and masked message.
        level: level of its lines.
        lines, expected: count in the window, and what the baseline predicts.
        g2: signed G².
        passes: whether it is more surprising than the gate allows (or, without a baseline,
            the level asks attention).
        new: True when the baseline has none and is long enough to say so.
        chance: probability of so many lines when the baseline had none; None when it had some.
        rate_below: rule of three, the baseline's rate was below this share of its lines.
        rows: positions of its lines in the LINES table, first three; none where it is gone.
    """

    key: str
    level: str
    lines: int
    expected: float
    g2: float
    passes: bool
    new: bool
    chance: float | None = None
    rate_below: float | None = None
    rows: tuple[int, ...] = ()

    @property
    def gone(self) -> bool:
        """Whether the baseline had such lines and the window has none."""
        return self.lines == 0


def skeleton(message: str) -> str:
    """A message with ids, numbers and quoted text masked; its first line, capped."""
    text = message.split("\n", 1)[0][: SKELETON_CAP * 2]
    return _MASK.sub(lambda found: f"<{found.lastgroup}>", text)[:SKELETON_CAP]


def keys_of(lines: pd.DataFrame) -> list[str]:
    """The template key of each line: its event, with the reason where it has one."""
    columns = (lines[name] for name in ("event", "logger", "level", "message", "fields"))
    return [_key(*row) for row in zip(*columns, strict=True)]


def compare(lines: pd.DataFrame, before: pd.DataFrame, *, exposure: float) -> tuple[Template, ...]:
    """Every template of window and baseline, the most surprising first."""
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys_of(lines)):
        places.setdefault(key if key in places or len(places) < MOST_KEYS else OVERFLOW, [])
        places[key if key in places else OVERFLOW].append(place)
    old = Counter(keys_of(before))
    if OVERFLOW in places:
        old[OVERFLOW] = sum(count for key, count in old.items() if key not in places)
    levels = lines["level"].tolist()
    gone = _gone(before, old, places) if len(lines) else {}
    tests = len(places) + len(gone)
    found = [
        _judge(key, str(levels[rows[0]]), rows, old, tests=tests, exposure=exposure)
        for key, rows in places.items()
    ]
    found += [
        _judge(key, level, [], old, tests=tests, exposure=exposure) for key, level in gone.items()
    ]
    return tuple(
        sorted(found, key=lambda t: (not attention(t), not t.passes, -t.g2, -t.lines, t.key))
    )


def attention(template: Template) -> bool:
    """Whether the level of the template asks for attention (WARNING and above)."""
    return template.level.upper() in _ATTENTION


def poisson_tail(count: int, mean: float) -> float:
    """P(N ≥ count) of a Poisson count, summed from its largest terms; 1.0 for none."""
    if count <= 0 or mean <= 0:
        return 1.0 if count <= 0 else 0.0
    term = math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
    total, step = term, count
    while term > total * 1e-12 and step < count + 10_000:
        step += 1
        term *= mean / step
        total += term
    return min(total, 1.0)


def _judge(  # noqa: PLR0913  (one kind of line, and what it is compared with)
    key: str,
    level: str,
    rows: list[int],
    old: Mapping[str, int],
    *,
    tests: int,
    exposure: float,
) -> Template:
    count, seen, whole = len(rows), old.get(key, 0), sum(old.values())
    g2 = signed_g2(count, seen, exposure=exposure) if whole else 0.0
    chance = poisson_tail(count, exposure * 0.5) if whole and not seen else None
    passes = abs(g2) > gate(tests) if chance is None else chance < 0.05 / max(tests, 1)
    return Template(
        key=key,
        level=level,
        lines=count,
        expected=seen * exposure,
        g2=g2,
        passes=passes if whole else level.upper() in _ATTENTION,
        new=seen == 0 and whole >= NOVELTY_NEEDS,
        chance=chance,
        rate_below=3.0 / whole if chance is not None else None,
        rows=tuple(rows[:3]),
    )


def _gone(
    before: pd.DataFrame, old: Mapping[str, int], places: Mapping[str, list[int]]
) -> dict[str, str]:
    """Level of each kind that the baseline has and the window has not; capped as kinds are."""
    levels = dict(zip(keys_of(before), before["level"].astype(str), strict=True))
    return {
        key: levels[key] for key in list(old)[:MOST_KEYS] if key not in places and key in levels
    }


def _key(event: str, logger: str, level: str, message: str, fields: Mapping[str, object]) -> str:
    if event:
        reason = fields.get("reason")
        return (
            f"{event} reason={reason}"[:SKELETON_CAP] if reason not in (None, "", "none") else event
        )
    return f"{logger} {level}: {skeleton(str(message))}"
