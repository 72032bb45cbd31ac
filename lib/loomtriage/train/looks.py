"""Looks: what does a trainee look at, and how is each look kept for the debrief?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from loomtriage.case import Case, open_case
from loomtriage.contract.catalogue import BY_ID
from loomtriage.errors import UsageError
from loomtriage.model.window import iso
from loomtriage.report import loose
from loomtriage.report.tables import Table
from loomtriage.stages import PATH, STAGES
from loomtriage.stages.result import StageResult
from loomtriage.train.rounds import LOOKS_FILE, ROUND_FILE, WORK

HINTS = frozenset({"explain", "retries", "close"})
"""Stages that name the cause: a look at them is a hint, and costs what a hint costs."""
RAW: Mapping[str, tuple[str, ...]] = {
    "lines": ("ts", "level", "event", "reason", "error", "sha256"),
    "spans": ("start", "service", "operation", "duration_s", "error", "trace_id"),
    "rows": ("projection", "op", "status", "attempts", "reason", "error"),
}
LABELS = ("projection", "op", "reason", "result")
LAST, SHOWN = 40, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look: when, and at what."""

    at: datetime
    what: str

    @property
    def is_hint(self) -> bool:
        """Whether it cost a hint."""
        return self.what in HINTS


def names() -> tuple[str, ...]:
    """All that can be looked at."""
    return (*PATH, *RAW, *BY_ID)


def look(folder: Path, what: str) -> StageResult | Table:
    """A stage of the path, or raw telemetry, of the round in that folder; the look is kept.

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
    told = json.loads((folder / ROUND_FILE).read_bytes())
    case = case_of(folder, told, stage=what if what in PATH else "path")
    with (folder / LOOKS_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"at": iso(datetime.now(UTC)), "what": what}) + "\n")
    if what in PATH:
        return STAGES.get(what, noun="stage")(case)
    return _lines(case, what) if what in RAW else _samples(case, what)


def case_of(folder: Path, told: Mapping[str, object], *, stage: str) -> Case:
    """The case of a round as it stands now; a live one looks from its start to this moment."""
    work = folder / WORK
    work.mkdir(mode=0o700, exist_ok=True)
    start, baseline = str(told.get("start") or ""), str(told.get("baseline") or "")
    return open_case(
        stage,
        source=str(told["source"]),
        start=start,
        end=iso(datetime.now(UTC)) if start else "",
        baseline=baseline,
        handover=str(work),
    )


def read_looks(folder: Path) -> tuple[Look, ...]:
    """What was looked at, in order; a line that is none is left out."""
    path = folder / LOOKS_FILE
    found = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        try:
            entry = dict(json.loads(line))
        except (ValueError, TypeError):
            continue
        if moment := loose.instant(entry.get("at")):
            found.append(Look(at=moment, what=loose.word(entry, "what")))
    return tuple(found)


def plain(seen: StageResult | Table) -> str:
    """A look for the terminal."""
    if isinstance(seen, Table):
        return seen.plain(SHOWN)
    lines = [f"{seen.verdict.state}: {seen.verdict.headline}"]
    lines += [f"  {one.state:<8}{one.says}" for one in seen.verdict.findings]
    return "\n\n".join(["\n".join(lines), *(table.plain(SHOWN) for table in seen.tables)])


def _lines(case: Case, what: str) -> Table:
    """The last loud lines, failing spans, or unfinished rows; all of them when none is."""
    frame = case.pull(what)
    data = frame.data
    if what == "lines" and len(data):
        data = data[data["ts"] >= case.window.start]
        data = _or_all(data, data["level"].isin(["WARNING", "ERROR", "CRITICAL"]))
    elif what == "spans" and len(data):
        data = _or_all(data, data["error"].astype(bool))
    elif len(data):
        data = _or_all(data, data["status"] != "done")
    if what == "lines":
        told = [dict(fields) for fields in data["fields"]]
        data = data.assign(
            reason=[one.get("reason", "") for one in told],
            error=[
                one.get("error") or message
                for one, message in zip(told, data["message"], strict=True)
            ],
        )
    last = data[list(RAW[what])].tail(LAST)
    rows = tuple(tuple(_cell(cell) for cell in row) for row in last.itertuples(index=False))
    note = frame.hint if frame.missing else f"The last {len(rows)} of {len(data)}, newest first."
    return Table(id=what, title=what.capitalize(), columns=RAW[what], rows=rows[::-1], note=note)


def _cell(value: object) -> str:
    """A cell for reading: ids and hashes as far as a pointer needs them, times without a date."""
    if isinstance(value, pd.Timestamp):
        return f"{value:%H:%M:%S.%f}"[:-3]
    text = str(value)
    return text[:16] if len(text) in (32, 64) and text.isalnum() else text[:120]


def _or_all(data: pd.DataFrame, mask: pd.Series) -> pd.DataFrame:
    return data[mask] if bool(mask.any()) else data


def _samples(case: Case, what: str) -> Table:
    """First and last sample of each series, before and in the window."""
    frame, metric = case.pull_metrics(what), BY_ID[what]
    rows = []
    for column in frame.data.columns:
        series = frame.data[column].dropna()
        is_before = series.index < case.window.start
        labels = dict(zip(frame.data.columns.names, column, strict=True))
        told = " ".join(f"{key}={labels[key]}" for key in LABELS if labels[key])
        rows.append((told, *_ends(series[is_before]), *_ends(series[~is_before])))
    columns = ("labels", "baseline from", "to", "window from", "to ")
    return Table(
        id=what, title=f"{metric.name}: {metric.says}", columns=columns, rows=tuple(rows),
        note=frame.hint if frame.missing else f"in {metric.unit}",
    )  # fmt: skip


def _ends(samples: pd.Series) -> tuple[str, str]:
    return (f"{samples.iloc[0]:g}", f"{samples.iloc[-1]:g}") if len(samples) else ("", "")
