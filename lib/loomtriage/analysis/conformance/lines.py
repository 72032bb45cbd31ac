"""Do the log lines obey the contract: fields, row events, trace ids, schema marker?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pandas as pd

from loomtriage.analysis.conformance.gaps import Answer, Gap, Spoken, counted
from loomtriage.contract.demands import MIN_TRACED
from loomtriage.contract.events import ROW_PREFIX, EventKind, kind_of
from loomtriage.contract.keys import read_key
from loomtriage.contract.spans import OBS_SCHEMA

Fields = Mapping[str, object]


def line_answers(lines: pd.DataFrame, *, worked: float) -> tuple[Answer, ...]:
    """Fields, row events, trace ids and schema marker of the pipeline's own lines.

    Args:
        lines: LINES table.
        worked: attempts that the counters saw, against which row events are missed.
    """
    kinds = [kind_of(event) for event in lines["event"]]
    return (
        _fields(lines, kinds),
        _rows(lines, worked=worked),
        _traced(lines, kinds),
        _schema(lines, kinds),
    )


def reasons_on_lines(lines: pd.DataFrame) -> tuple[Spoken, ...]:
    """Reasons as log lines wrote them."""
    return tuple(
        Spoken(
            where=f"logs {event or 'free text'}",
            reason=str(fields["reason"]),
            has_status=fields.get("http_status") not in (None, ""),
        )
        for event, fields in zip(lines["event"], lines["fields"], strict=True)
        if fields.get("reason") not in (None, "", "none") and kind_of(event)
    )


def share_traced(lines: pd.DataFrame) -> tuple[int, int]:
    """How many of the ERROR lines carry a trace id, and how many there are."""
    errors = lines[lines["level"] == "ERROR"]
    return int((errors["trace_id"] != "").sum()), len(errors)


def _fields(lines: pd.DataFrame, kinds: list[EventKind | None]) -> Answer:
    missing: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    for kind, fields in zip(kinds, lines["fields"], strict=True):
        if kind is None:
            continue
        where = f"logs {_whose(kind, fields)}"
        totals[where] += 1
        for name in kind.needs:
            # The marker is a demand of its own.
            if name != "obs_schema" and fields.get(name) in (None, ""):
                missing[where, f"field {name}"] += 1
    return Answer(demand="lines_fields", n=totals.total(), gaps=counted(missing, totals))


def _whose(kind: EventKind, fields: Fields) -> str:
    """The event and the projection that wrote it: two workers may obey differently."""
    event = f"{kind.event}*" if kind.event.endswith("_") else kind.event
    return f"{event} of {read_key('projection', fields)}".removesuffix(" of ")


def _rows(lines: pd.DataFrame, *, worked: float) -> Answer:
    rows = int(lines["event"].str.startswith(ROW_PREFIX).sum())
    n = round(worked)
    if not n or rows:
        return Answer(demand="lines_rows", n=max(n, rows), note=f"{rows} lines tell of rows.")
    what = f"no {ROW_PREFIX}* line for {n} attempts"
    return Answer(demand="lines_rows", n=n, gaps=(Gap(where="logs", what=what),))


def _traced(lines: pd.DataFrame, kinds: list[EventKind | None]) -> Answer:
    """Lines that are written in a span, and every line that says ERROR."""
    bare: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    columns = (lines[name] for name in ("level", "fields", "trace_id", "span_id"))
    for kind, level, fields, trace, span in zip(kinds, *columns, strict=True):
        if kind is not None and kind.traced:
            where = f"logs {_whose(kind, fields)}"
        elif level == "ERROR":
            where = "logs other ERROR lines"
        else:
            continue
        # A poll that claimed nothing did no work that a trace could show.
        if fields.get("claimed") == 0:
            continue
        totals[where] += 1
        if not (trace and span):
            bare[where, "no trace_id or span_id"] += 1
    gaps = [g for g in counted(bare, totals) if g.seen > (1 - MIN_TRACED.value) * g.of]
    traced, errors = share_traced(lines)
    share = f" ({traced / errors:.0%})" if errors else ""
    note = f"{traced} of {errors} ERROR lines carry a trace id{share}."
    return Answer(demand="lines_trace_ids", n=totals.total(), gaps=tuple(gaps), note=note)


def _schema(lines: pd.DataFrame, kinds: list[EventKind | None]) -> Answer:
    odd: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    for kind, fields in zip(kinds, lines["fields"], strict=True):
        if kind is None or "obs_schema" not in kind.needs:
            continue
        where = f"logs of {read_key('projection', fields) or 'no projection'}"
        totals[where] += 1
        marker = fields.get("obs_schema")
        if marker != OBS_SCHEMA:
            odd[where, f"marker {marker}" if marker else "no marker"] += 1
    return Answer(demand="lines_schema", n=totals.total(), gaps=counted(odd, totals))
