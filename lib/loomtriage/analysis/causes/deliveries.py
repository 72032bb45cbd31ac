"""Was an event delivered more often than enqueued, and by how many versions of the rule?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from loomtriage.analysis.steps.outcomes import failing
from loomtriage.contract.keys import Result, read_key
from loomtriage.contract.spans import ROW

_NOOP_SPOKEN = "not found in ES (noop)"
_SKIP_SPOKEN = "no search_index row"
_VERSION = ("wordloom.projection_version", "projection_version")
_EVENT_VERSION = ("wordloom.outbox_event_version", "wordloom.outbox.event_version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """Signs of events that came more than once.

    Attributes:
        noops_in_spans, noops_in_lines: deletes of documents that were gone already.
        repeats: outbox rows, or versions of one entity, that were finished more than once.
        skipped: rows acknowledged without a write because their source row is missing.
    """

    noops_in_spans: int = 0
    noops_in_lines: int = 0
    repeats: int = 0
    skipped: int = 0


def deliveries(
    spans: pd.DataFrame | None,
    lines: pd.DataFrame | None,
    *,
    known: tuple[pd.DataFrame | None, pd.DataFrame | None] = (None, None),
) -> Deliveries:
    """Count them in one window; a missing signal counts nothing.

    `known` are spans and lines of the time before: a row that was finished there and is finished
    again here comes twice, too.
    """
    rows, rows_before = _row_spans(spans), _row_spans(known[0])
    told = [] if lines is None else list(zip(lines["message"], lines["fields"], strict=True))
    spoken = [str(message) for message, _ in told]
    noops = sum(_NOOP_SPOKEN in text for text in spoken)
    done, done_before = _finished(lines), _finished(known[1])
    return Deliveries(
        noops_in_spans=sum(_true(a.get("wordloom.idempotent_noop")) for a in rows),
        noops_in_lines=noops + sum(bool(f.get("noop")) for f in done),
        repeats=max(
            _repeats([*before, *now]) - _repeats(before)
            for before, now in ((rows_before, rows), (done_before, done))
        ),
        skipped=sum(_SKIP_SPOKEN in text for text in spoken),
    )


def versions(spans: pd.DataFrame | None, lines: pd.DataFrame | None) -> dict[str, dict[str, int]]:
    """How often spans (`traces`) and lines (`logs`) of one window name a version of the rule."""
    return {
        leg: dict(Counter(found for one in many if (found := _first(one, _VERSION))))
        for leg, many in _told(spans, lines).items()
    }


def versioned(spans: pd.DataFrame | None, lines: pd.DataFrame | None) -> tuple[str, ...]:
    """Projections whose spans or lines name a version of their rule, sorted."""
    told = [one for many in _told(spans, lines).values() for one in many if _first(one, _VERSION)]
    return tuple(sorted({read_key("projection", one) for one in told} - {""}))


def _told(
    spans: pd.DataFrame | None, lines: pd.DataFrame | None
) -> dict[str, Iterable[Mapping[str, object]]]:
    return {
        "traces": [] if spans is None else spans["attributes"],
        "logs": [] if lines is None else lines["fields"],
    }


def _row_spans(spans: pd.DataFrame | None) -> list[Mapping[str, object]]:
    """Attributes of the row spans that did not fail."""
    if spans is None or spans.empty:
        return []
    rows = spans[spans["operation"] == ROW]
    return list(rows.loc[~failing(rows), "attributes"]) if len(rows) else []


def _finished(lines: pd.DataFrame | None) -> list[Mapping[str, object]]:
    """Fields of the lines that say that a row was finished."""
    if lines is None:
        return []
    return [one for one in lines["fields"] if read_key("result", one) == Result.OK.value]


def _repeats(finished: Iterable[Mapping[str, object]]) -> int:
    """How many finishes were not the first of their row, or of their version of the entity."""
    ids: Counter[str] = Counter()
    rows_of: dict[tuple[str, str, str], set[str]] = {}
    for one in finished:
        row = read_key("outbox_event_id", one)
        if not row:
            continue
        ids[row] += 1
        version = _first(one, _EVENT_VERSION)
        if version:
            known = (read_key("entity_id", one), read_key("op", one), version)
            rows_of.setdefault(known, set()).add(row)
    again = sum(count - 1 for count in ids.values())
    return again + sum(len(rows) - 1 for rows in rows_of.values())


def _first(one: Mapping[str, object], names: tuple[str, ...]) -> str:
    return next((str(one[name]) for name in names if one.get(name) not in (None, "")), "")


def _true(value: object) -> bool:
    return value is True or str(value).lower() == "true"
