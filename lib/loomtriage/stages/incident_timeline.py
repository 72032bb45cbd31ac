"""Timeline: what happened when, which signal says so, and how is the same asked again?"""

from __future__ import annotations

import json
from datetime import datetime

import pandas as pd

from loomtriage.case import Case
from loomtriage.contract.keys import OUTBOX_TABLES
from loomtriage.model import Frame, Scope
from loomtriage.model.window import iso, parse_instant
from loomtriage.report.postmortem import Moment
from loomtriage.stages.incident_told import Told
from loomtriage.stages.links import counter, expression, graph_url, trace_url

NAME_LENGTH = 120

ALERT_FILE = "alert.json"
"""What an alert that opened the investigation left in the run folder."""


def moments(
    case: Case, told: Told, *, spans: Frame, lines: Frame, rows: Frame
) -> tuple[Moment, ...]:
    """Everything that has a time, in its order; nothing is put between what was seen."""
    found = [
        *_alert(case),
        *_onset(case, told),
        *_spans(case, told, spans.data),
        *_lines(case, told, lines.data),
        *_rows(case, told, rows.data),
    ]
    return tuple(sorted(found, key=lambda moment: moment.at))


def scope_of(told: Told) -> Scope:
    """What the stages narrowed to."""
    scope = told.left.get("scope")
    return Scope(**scope) if isinstance(scope, dict) else Scope()


def in_scope(rows: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    """Outbox rows of the scope's projection and op."""
    for key in ("projection", "op"):
        if value := getattr(scope, key):
            rows = rows[rows[key] == value]
    return rows


def _alert(case: Case) -> list[Moment]:
    path = case.folder / ALERT_FILE if case.folder else None
    if path is None or not path.is_file():
        return []
    alert = json.loads(path.read_bytes())
    return [
        Moment(
            at=iso(parse_instant(str(alert["starts_at"]))),
            source="alert",
            says=f"{', '.join(alert['names']) or 'An alert'} started to fire.",
            query=f"ALERTS, {' '.join(f'{k}={v}' for k, v in alert['scope'].items() if v)}",
        )
    ]


def _onset(case: Case, told: Told) -> list[Moment]:
    at, scope = told.text("metric_onset"), scope_of(told)
    if not at:
        return []
    asked = expression(counter(scope), scope) if scope.result else _all_of(scope)
    what = f"{scope.result} with {scope.reason}" if scope.reason else "a counter or gauge"
    return [
        Moment(
            at=at,
            source="metrics",
            says=f"First sample that shows trouble: {what}.",
            query=asked,
            url=graph_url(case, asked),
        )
    ]


def _all_of(scope: Scope) -> str:
    matchers = scope.selector("projection")
    return f'{{__name__=~"outbox_.+"{"," if matchers else ""}{matchers}}}'


def _spans(case: Case, told: Told, spans: pd.DataFrame) -> list[Moment]:
    failing = spans[spans["trace_id"].isin(told.texts("failing_trace_ids"))]
    failing = failing[failing["error"].astype(bool)].sort_values("start")
    if failing.empty:
        at = told.text("first_error_span")
        says, query = "First span that failed.", "spans with status error"
        return [Moment(at=at, source="traces", says=says, query=query)] if at else []
    ends = [("First", failing.iloc[0])]
    if len(failing) > 1:
        ends.append(("Last", failing.iloc[-1]))
    return [
        Moment(
            at=iso(row["start"]),
            source="traces",
            says=f"{word} span that failed, of {len(failing)} traced: "
            f"{row['service']} › {row['operation']}.",
            query=f"trace_id={row['trace_id']}",
            url=trace_url(case, str(row["trace_id"])),
        )
        for word, row in ends
    ]


def _cut(words: str) -> str:
    """The beginning on one line; words may be longer than that."""
    line = " ".join(words.split())
    return line if len(line) <= NAME_LENGTH else f"{line[: NAME_LENGTH - 1]}…"


def _lines(case: Case, told: Told, lines: pd.DataFrame) -> list[Moment]:
    at = told.text("first_error_line")
    if lines.empty:
        return []
    same = lines[[iso(ts) == at for ts in lines["ts"]]] if at else _new_kinds(case, lines)
    if same.empty:
        return []
    first = same.iloc[0]
    name = _cut(str(first["event"] or first["message"]))
    # Lines without an event are of as many kinds as there are texts: nobody counts those.
    alike = lines[(lines["event"] == first["event"]) & (lines["level"] == first["level"])]
    alike = _inside(case, alike, "ts").sort_values("ts") if first["event"] else same.iloc[:1]
    ends = [("First", first)]
    if len(alike) > 1:
        ends.append(("Last", alike.iloc[-1]))
    return [
        Moment(
            at=iso(row["ts"]),
            source="logs",
            says=f"{word} {row['level']} line {name}, of {len(alike)}."
            if len(alike) > 1
            else f"{row['level']} line {name}{'' if name.endswith('…') else '.'}",
            query=f"{row['file']}:{row['line']} sha256:{str(row['sha256'])[:12]}",
            url=trace_url(case, str(row["trace_id"])) if row["trace_id"] else "",
        )
        for word, row in ends
    ]


def _new_kinds(case: Case, lines: pd.DataFrame) -> pd.DataFrame:
    """Where no line proves the cause: warnings and errors of a kind the baseline had none of."""
    asking = lines[lines["level"].isin(("WARNING", "ERROR")) & (lines["event"] != "")]
    inside = _inside(case, asking, "ts")
    before = set(asking.drop(inside.index)["event"])
    return inside[~inside["event"].isin(before)].sort_values("ts")


def _inside(case: Case, table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows whose moment lies in the window; an empty table keeps its columns."""
    inside = [moment in case.window for moment in table[column]]
    return table[pd.Series(inside, index=table.index, dtype=bool)]


def _rows(case: Case, told: Told, rows: pd.DataFrame) -> list[Moment]:
    scope = scope_of(told)
    mine = in_scope(rows, scope)
    failed = mine[mine["status"] == "failed"].sort_values("updated_at")
    waiting = mine[(mine["status"] != "done") & (mine["attempts"] > 0)].sort_values("created_at")
    waiting = waiting[waiting["status"] != "failed"]
    done = mine[mine["status"] == "done"].dropna(subset=["processed_at"])
    done = _inside(case, done, "processed_at").sort_values("processed_at")
    found = []
    if len(failed):
        says = f"First row that failed for good, of {len(failed)} that stand so."
        found.append(_row(case, failed.iloc[0], "updated_at", says))
    if len(waiting):
        says = f"The oldest row that was tried and is not done was written, of {len(waiting)}."
        found.append(_row(case, waiting.iloc[0], "created_at", says))
    if len(done) and (len(failed) or len(waiting)):
        says = "Last row that was finished in the window."
        found.append(_row(case, done.iloc[-1], "processed_at", says))
    return [moment for moment in found if moment is not None]


def _row(case: Case, row: pd.Series, column: str, says: str) -> Moment | None:
    at = row[column]
    if not isinstance(at, datetime):
        return None
    trace, row_id = str(row["trace_id"] or ""), str(row["id"])
    # Somebody may paste this: what is no id does not get into it.
    plain = row_id.replace("-", "").isalnum()
    table = OUTBOX_TABLES.get(str(row["projection"]), "")
    asked = f"SELECT {column}, status, attempts, error FROM {table} WHERE id = '{row_id}'"  # noqa: S608  (text to read, run by nobody here)
    return Moment(
        at=iso(at),
        source="rows",
        says=says,
        query=asked if plain else "",
        url=trace_url(case, trace) if trace else "",
    )
