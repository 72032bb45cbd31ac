"""Apart: how far is each worker's clock off, as its gauge, its lines and its rows tell?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from loomtriage.contract import catalogue
from loomtriage.contract.keys import Result, read_key
from loomtriage.model import Window

NOTED_S, FAR_S = 2.0, 30.0
"""Seconds from which clocks are said to differ, and from which order in time is not trusted."""
ENOUGH_PAIRS = 3
SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """One clock against another, as measured.

    Attributes:
        whose: the clock, and the one that it is compared with, in words.
        ahead_s: by how many seconds it is ahead; negative when it is behind.
        n: samples or pairs behind the number.
        projections: those that the process works for, where that is told.
        file: the log file whose lines it was measured by, empty when by a gauge.
    """

    whose: str
    ahead_s: float
    n: int
    projections: tuple[str, ...] = ()
    file: str = ""

    def __str__(self) -> str:
        way = "ahead" if self.ahead_s > 0 else "behind"
        return f"{self.whose} is {abs(self.ahead_s):.1f} s {way} (n = {self.n})"

    @property
    def moves(self) -> str:
        """What that clock dates lies elsewhere in time: what, and how far."""
        what = f"the lines of {self.file}" if self.file else "its lines and spans"
        # Against its lines the database is ahead when they lie behind.
        is_ahead = (self.ahead_s > 0) == (not self.file)
        return f"{what} lie {abs(self.ahead_s):.1f} s {'ahead' if is_ahead else 'behind'}"

    def excuses(self, projections: Collection[str], *, file: str = "") -> bool:
        """Whether lines or spans of these projections, or that file, may be missing for this alone.

        A file that names none is excused by its own clock alone.
        """
        if file and not projections:
            return file == self.file
        known = self.projections and projections
        return not known or not set(self.projections).isdisjoint(projections)


def far_apart(apart: Iterable[Apart]) -> tuple[Apart, ...]:
    """Clocks so far off that what they date may lie outside the windows."""
    return tuple(one for one in apart if abs(one.ahead_s) > FAR_S)


def told_far(apart: Iterable[Apart]) -> str:
    """Which clocks are far off, and where their lines and spans lie; empty when none is."""
    return "; ".join(f"{one}: {one.moves}" for one in far_apart(apart)[:SHOWN])


def clocks_apart(
    metrics: pd.DataFrame, lines: pd.DataFrame, rows: pd.DataFrame, *, window: Window
) -> tuple[Apart, ...]:
    """Every clock that can be measured, the farthest first; what cannot be is left out.

    A worker's last success is written by its own clock and scraped by the server's. The end of a
    row is dated by the database, and by the line that tells of it.
    """
    found = [*_by_last_success(metrics, window), *_by_rows(lines, rows, window)]
    return tuple(sorted(found, key=lambda one: (-abs(one.ahead_s), one.whose)))


def _by_last_success(metrics: pd.DataFrame, window: Window) -> list[Apart]:
    """The newest success beside the moment of its scrape; an old one tells of idleness only."""
    name = catalogue.BY_ID["last_success"].name
    inside = metrics[(metrics.index >= window.start) & (metrics.index < window.end)]
    mine = inside.loc[:, inside.columns.get_level_values("metric") == name]
    if mine.empty:
        return []
    leads = mine.sub([moment.timestamp() for moment in mine.index], axis=0)
    found = []
    for instance in dict.fromkeys(map(str, mine.columns.get_level_values("instance"))):
        own = mine.columns.get_level_values("instance") == instance
        lead = leads.loc[:, own].max(axis=1).dropna()
        if len(lead) >= ENOUGH_PAIRS and (ahead := float(lead.max())) > -NOTED_S:
            found.append(
                Apart(
                    whose=f"the worker at {instance}, against its scrapes,",
                    ahead_s=ahead,
                    n=len(lead),
                    projections=tuple(
                        sorted(set(mine.columns[own].get_level_values("projection")) - {""})
                    ),
                )
            )
    return found


def _by_rows(lines: pd.DataFrame, rows: pd.DataFrame, window: Window) -> list[Apart]:
    """Median of database time minus log time of one and the same end of a row, by file.

    Window and baseline apart: a clock that is set in between would hide behind the other half.
    """
    done = {
        str(row): moment
        for row, moment in zip(rows["id"], rows["processed_at"], strict=True)
        if not pd.isna(moment)
    }
    pairs = [
        (f"{file}", moment >= window.start, (done[row] - moment).total_seconds())
        for file, moment, fields in zip(lines["file"], lines["ts"], lines["fields"], strict=True)
        if (row := read_key("outbox_event_id", fields)) in done
        and read_key("result", fields) == Result.OK.value
    ]
    table = pd.DataFrame(pairs, columns=["file", "now", "s"])
    found = []
    for file, mine in table.groupby("file"):
        halves = [half["s"] for _, half in mine.groupby("now") if len(half) >= ENOUGH_PAIRS]
        if halves:
            farthest = max(halves, key=lambda half: abs(half.median()))
            whose = f"the database, against the lines of {file},"
            found.append(
                Apart(
                    whose=whose,
                    ahead_s=float(farthest.median()),
                    n=len(farthest),
                    projections=named_projections(lines.loc[lines["file"] == file, "fields"]),
                    file=str(file),
                )
            )
    return found


def named_projections(named: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """The projections that the fields of lines, or the attributes of spans, name."""
    return tuple(sorted({read_key("projection", one) for one in named} - {""}))
