"""Incident story: what do the stages' results and the outbox say, in the order people ask?"""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from loomtriage.case import Case
from loomtriage.contract.causes import BY_ID
from loomtriage.model import Frame, Scope, State
from loomtriage.model.window import iso, parse_instant
from loomtriage.report.postmortem import Moment, Story
from loomtriage.stages.incident_timeline import in_scope, scope_of
from loomtriage.stages.incident_told import Told

MEANS = {
    "done": "finished in the looked-at time",
    "pending": "waits for its turn",
    "processing": "claimed by a worker",
    "failed": "failed for good; stays so until somebody replays it",
}
TROUBLE = frozenset({"metrics", "traces", "logs"})
"""Sources whose moments tell when it was first and last seen."""


def story(case: Case, told: Told, *, timeline: tuple[Moment, ...], rows: Frame) -> Story:
    """The parts of the report that are made from data; nothing else is said."""
    mine = in_scope(rows.data, scope_of(told))
    return Story(
        summary=_summary(case, told, timeline, mine),
        impact=_impact(told, timeline, mine),
        timeline=timeline,
        because=_texts(told, "because"),
        rejected=_rejected(told),
        rows=_standing(rows.data),
        rows_note=_rows_note(rows),
        caveats=tuple(dict.fromkeys((*told.caveats, *_texts(told, "legs")))),
    )


def _summary(
    case: Case, told: Told, timeline: tuple[Moment, ...], rows: pd.DataFrame
) -> tuple[str, ...]:
    cause = BY_ID.get(str(told.conclusion.get("cause", "unknown")), BY_ID["unknown"])
    said = [cause.says]
    if cause.id == "unknown":
        first, *others = str(told.conclusion.get("why") or "no stage came so far").split("; ")
        more = f", and {len(others)} more under Cause" if others else ""
        said = [f"No cause is named: {first}{more}."]
    said += [f"At the same time: {BY_ID[other].title}." for other in _also(told)]
    seen = [parse_instant(m.at) for m in timeline if m.source in TROUBLE]
    if seen and cause.id != "none":
        before_end = max((case.window.end - max(seen)).total_seconds(), 0)
        once = len(set(seen)) == 1
        when = f"Seen once, at {_clock(max(seen))}"
        if not once:
            when = f"First seen at {_clock(min(seen))}, last at {_clock(max(seen))}"
        ended = f"{before_end:.1f} s before the looked-at time ended"
        said.append(f"{when}, {ended if before_end >= 1 else 'to the end of the looked-at time'}.")
    if len(rows) and cause.id != "none":
        failed = int((rows["status"] == "failed").sum())
        open_rows = int((rows["status"] != "done").sum()) - failed
        said.append(
            f"When the outbox was asked, {_count(failed, 'row')}{_of(scope_of(told))} had failed "
            f"for good and {open_rows or 'none'} {'were' if open_rows > 1 else 'was'} still open."
        )
    return tuple(said)


def _impact(
    told: Told, timeline: tuple[Moment, ...], rows: pd.DataFrame
) -> tuple[tuple[str, str], ...]:
    narrow = told.verdicts.get("narrow")
    found = [
        (
            "Change in the counters",
            f"{s.what}: {s.observed:.0f} {s.unit}, {s.expected:.1f} expected",
        )
        for s in (narrow.suspects if narrow else ())[:1]
    ]
    found += [("Attempts", f.says) for f in told.findings("narrow.folding")]
    open_rows = rows["status"] != "done"
    tried = rows[(rows["status"] == "failed") | (open_rows & (rows["attempts"] > 0))]
    if len(tried):
        entities = len(tried[["entity_type", "entity_id"]].drop_duplicates())
        behind = f"{_count(entities, 'entity', 'entities')} in {_count(len(tried), 'row')}"
        found.append(("Entities behind their source", f"{behind} tried and not done"))
    gauges = [
        f
        for name in ("lag", "oldest_age", "stuck")
        for f in told.findings(f"narrow.gauge.{name}")
        if f.state in (State.BAD, State.WARN)
    ]
    found += [(f"Gauge on {f.scope.projection or 'all'}", f.says) for f in gauges]
    seen = [parse_instant(m.at) for m in timeline if m.source in TROUBLE]
    lasted = (max(seen) - min(seen)).total_seconds() if seen else 0.0
    if lasted >= 1:
        found.append(("Seen for", f"{lasted:.1f} s at least, within the looked-at time"))
    return tuple(found)


def _standing(rows: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """Rows by projection and status, what is open first."""
    found = []
    for (projection, status), group in rows.groupby(["projection", "status"], sort=True):
        again = int((group["attempts"] > 0).sum()) if status == "pending" else 0
        means = MEANS.get(str(status), "a status that the contract does not know")
        created = group["created_at"].dropna()
        found.append(
            (
                str(projection),
                str(status),
                f"{len(group)}",
                iso(created.min()) if len(created) else "",
                f"{means}; {again} of them were tried before" if again else means,
            )
        )
    order = {"failed": 0, "processing": 1, "pending": 2}
    return tuple(sorted(found, key=lambda row: (order.get(row[1], 3), row[0])))


def _rows_note(rows: Frame) -> str:
    if not len(rows):
        return f"The outbox said nothing: {rows.missing or 'empty'}. {rows.hint}".strip()
    at = rows.origin.fetched_at
    asked = f"As of {_clock(at)}, when the outbox was asked; " if at else ""
    said = f"{asked}rows not done, and rows done in the looked-at time."
    return " ".join((said[0].upper() + said[1:], *rows.caveats))


def _texts(told: Told, key: str) -> tuple[str, ...]:
    value = told.conclusion.get(key)
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def _also(told: Told) -> tuple[str, ...]:
    """Causes that were there beside the first one."""
    return tuple(name for name in _texts(told, "also") if name in BY_ID)


def _rejected(told: Told) -> tuple[tuple[str, str], ...]:
    """Causes by title and what ruled them out for these rows; none that was there for others."""
    pairs = (text.partition(": ") for text in _texts(told, "rejected"))
    return tuple(
        (f"{BY_ID[name].title} ({name})" if name in BY_ID else name, why)
        for name, _, why in pairs
        if name not in _also(told)
    )


def _of(scope: Scope) -> str:
    """Which rows were counted: `in_scope` keeps to projection and op, whatever the reason."""
    parts = filter(None, (scope.op, scope.projection and f"on {scope.projection}"))
    where = " ".join(parts)
    return f" ({where})" if where else ""


def _count(n: int, one: str, many: str = "") -> str:
    if not n:
        return f"no {one}"
    return f"{n} {one if n == 1 else many or one + 's'}"


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} UTC"
