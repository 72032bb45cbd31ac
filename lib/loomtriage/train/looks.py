"""Looks: what does a trainee look at, and how is each look kept for the debrief?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loomtriage.case import Case, open_case
from loomtriage.contract.catalogue import BY_ID
from loomtriage.errors import UsageError
from loomtriage.model.window import iso
from loomtriage.report import loose
from loomtriage.report.tables import Table
from loomtriage.stages import PATH, STAGES
from loomtriage.stages.result import StageResult
from loomtriage.train.raw import RAW, raw, samples
from loomtriage.train.rounds import LOOKS_FILE, ROUND_FILE, WORK

HINTS = ("explain", "retries", "close")
"""Stages that name the cause: the first look at each is a hint, and costs what a hint costs."""
SHOWN = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look: when, at what, and whether it cost a hint."""

    at: datetime
    what: str
    is_hint: bool


def names() -> tuple[str, ...]:
    """All that can be looked at."""
    return (*PATH, *RAW, *BY_ID)


def look(folder: Path, what: str) -> StageResult | Table:
    """A stage of the path, or raw telemetry, of the round in that folder.

    While the round goes on, opening its telemetry is what keeps the look.

    Args:
        folder: the round's folder.
        what: a stage, `lines`, `spans`, `rows`, or a metric's id.

    Raises:
        UsageError: nothing has that name.
    """
    if what not in names():
        raise UsageError(
            f"Nothing to look at is called {what[:40]!r}.",
            hint=f"Look at {', '.join((*PATH, *RAW))}, or a metric such as retry_scheduled.",
        )
    case = case_of(folder, json.loads((folder / ROUND_FILE).read_bytes()), stage=what)
    if what in PATH:
        return STAGES.get(what, noun="stage")(case)
    return raw(case, what) if what in RAW else samples(case, what)


def case_of(folder: Path, told: Mapping[str, object], *, stage: str) -> Case:
    """The case of a round as it stands now; a live one looks from its start to this moment.

    Stages build on one another. Anything else asks for itself: what it shows must not depend on
    what was looked at before.
    """
    work = folder / WORK
    if stage in PATH:
        work.mkdir(mode=0o700, exist_ok=True)
    start, baseline = str(told.get("start") or ""), str(told.get("baseline") or "")
    return open_case(
        stage,
        source=str(told["source"]),
        start=start,
        end=iso(datetime.now(UTC)) if start else "",
        baseline=baseline,
        handover=str(work) if stage in PATH else "",
    )


def read_looks(folder: Path) -> tuple[Look, ...]:
    """What was looked at, in order; a line that is none is left out, a hint costs once."""
    path = folder / LOOKS_FILE
    found: list[Look] = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        try:
            entry = dict(json.loads(line))
        except (ValueError, TypeError):
            continue
        if moment := loose.instant(entry.get("at")):
            what = loose.word(entry, "what")
            is_new = what not in {one.what for one in found}
            found.append(Look(at=moment, what=what, is_hint=is_new and what in HINTS))
    return tuple(found)


def plain(seen: StageResult | Table) -> str:
    """A look for the terminal."""
    if isinstance(seen, Table):
        return seen.plain(SHOWN)
    lines = [f"{seen.verdict.state}: {seen.verdict.headline}"]
    lines += [f"  {one.state:<8}{one.says}" for one in seen.verdict.findings]
    return "\n\n".join(["\n".join(lines), *(table.plain(SHOWN) for table in seen.tables)])
