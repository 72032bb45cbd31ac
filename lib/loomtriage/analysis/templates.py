"""Which kinds of log line are new, or more frequent than the baseline predicts?"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from loomtriage.analysis.surprise import gate, signed_g2

SKELETON_CAP = 120
NOVELTY_NEEDS = 100
"""Novelty is not claimed from a baseline with fewer lines than this (rule of three)."""

_MASKS = (
    (
        re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"),
        "<uuid>",
    ),
    (re.compile(r"\b[0-9a-fA-F]{16,32}\b"), "<hex>"),
    (re.compile(r"\d+(?:\.\d+)?"), "<n>"),
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
        passes: whether |g2| passed the gate (or, without a baseline, the level asks attention).
        new: True when the baseline has none and is long enough to say so.
        rows: positions of its lines in the LINES table, first three.
    """

    key: str
    level: str
    lines: int
    expected: float
    g2: float
    passes: bool
    new: bool
    rows: tuple[int, ...]


def skeleton(message: str) -> str:
    """A message with ids and numbers masked, first line only, at most 120 characters."""
    text = message.split("\n", 1)[0][: SKELETON_CAP * 2]
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text[:SKELETON_CAP]


def key_of(row: pd.Series) -> str:
    """The template key of one line: its event, with the reason where it has one."""
    if row["event"]:
        reason = row["fields"].get("reason")
        return (
            f"{row['event']} reason={reason}" if reason and reason != "none" else str(row["event"])
        )
    return f"{row['logger']}: {skeleton(str(row['message']))}"


def compare(lines: pd.DataFrame, before: pd.DataFrame, *, exposure: float) -> tuple[Template, ...]:
    """Every template of the window, the most surprising first."""
    if lines.empty:
        return ()
    keys, levels = lines.apply(key_of, axis=1), lines["level"]
    old = before.apply(key_of, axis=1).value_counts() if len(before) else pd.Series(dtype="int64")
    bound = gate(keys.nunique())
    found = []
    place = {label: number for number, label in enumerate(lines.index)}
    for key, members in keys.groupby(keys).groups.items():
        count, seen = len(members), int(old.get(key, 0))
        level = str(levels.loc[members[0]])
        g2 = signed_g2(count, seen, exposure=exposure) if len(before) else 0.0
        found.append(
            Template(
                key=str(key),
                level=level,
                lines=count,
                expected=seen * exposure,
                g2=g2,
                passes=abs(g2) > bound if len(before) else level.upper() in _ATTENTION,
                new=seen == 0 and len(before) >= NOVELTY_NEEDS,
                rows=tuple(place[member] for member in members[:3]),
            )
        )
    return tuple(
        sorted(
            found,
            key=lambda t: (-(t.level.upper() in _ATTENTION), -t.passes, -t.g2, -t.lines, t.key),
        )
    )


def attention(template: Template) -> bool:
    """Whether the level of the template asks for attention (WARNING and above)."""
    return template.level.upper() in _ATTENTION
