"""How many attempts did one outbox row cost, so that its retries count as one event?

G² treats events as independent, and the retries of one row are not: ten attempts of one row
weigh no more than its first. Log lines and row spans name the row of each attempt; counters do
not, so counters are divided by the attempts per row that lines or spans show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from loomtriage.analysis.counters.increases import Increases
from loomtriage.contract import catalogue
from loomtriage.contract.keys import Result, read_key
from loomtriage.contract.reasons import canonical
from loomtriage.contract.spans import ROW

UNSUCCESSFUL = frozenset({Result.RETRY.value, Result.FAILED.value})
COUNTERS = ("retry_scheduled", "terminal_failed", "failed")
ATTEMPT_COLUMNS = ("projection", "op", "reason", "row", "attempt", "result")
Told = tuple[str, str, str, str, int, str]
_SPOKEN_PREFIX = "Failed to process outbox event "


@dataclass(frozen=True, slots=True, kw_only=True)
class Folding:
    """Attempts per outbox row, by projection and canonical reason.

    Attributes:
        by: the signal that named the rows, empty when none did.
        attempts, rows: how many unsuccessful attempts of how many distinct rows it saw.
        per_row: attempts per row, at least 1; reason empty where the signal gives none.
    """

    by: str = ""
    attempts: int = 0
    rows: int = 0
    per_row: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def factor(self, projection: str, reason: str) -> float:
        """Attempts per row of a projection and reason; 1.0 where nothing is known."""
        name = canonical(reason)
        tried = ((projection, name), (projection, ""), ("", name), ("", ""))
        known = (self.per_row.get(key) for key in tried)
        return next((value for value in known if value is not None), 1.0)

    def __str__(self) -> str:
        if not self.by:
            return "No signal names the outbox row of an attempt; retries count one by one"
        each = self.attempts / max(self.rows, 1)
        return (
            f"{self.attempts} attempts of {self.rows} rows folded ({each:.1f} a row, by {self.by})"
        )


def folding(lines: pd.DataFrame, spans: pd.DataFrame) -> Folding:
    """Attempts per row from log lines; from row spans where no line names a row."""
    for by, seen in (("log lines", attempts_in_lines(lines)), ("spans", attempts_in_spans(spans))):
        if len(seen):
            return _measure(seen, by=by)
    return Folding()


def fold(increases: Increases, by: Folding) -> Increases:
    """The increases with the failing counters in rows instead of attempts."""
    names = {catalogue.BY_ID[metric].name for metric in COUNTERS}
    index = increases.table.index
    factors = [
        by.factor(projection, reason) if metric in names and reason not in ("", "none") else 1.0
        for metric, projection, reason in zip(
            *(index.get_level_values(level) for level in ("metric", "projection", "reason")),
            strict=True,
        )
    ]
    return replace(increases, table=increases.table.div(pd.Series(factors, index=index), axis=0))


def attempts_in_lines(lines: pd.DataFrame | None) -> pd.DataFrame:
    """One row per unsuccessful attempt that a line tells of: `ATTEMPT_COLUMNS`."""
    told: list[Told] = []
    if lines is None or lines.empty:
        return _attempts(told)
    for message, fields in zip(lines["message"], lines["fields"], strict=True):
        spoken = str(message)
        if spoken.startswith(_SPOKEN_PREFIX):  # Wordloom's only line about a single row
            told.append(_told(fields, row=spoken[len(_SPOKEN_PREFIX) :].split(" ", 1)[0]))
        elif read_key("result", fields) in UNSUCCESSFUL:
            told.append(_told(fields, row=read_key("outbox_event_id", fields)))
    return _attempts(told)


def attempts_in_spans(spans: pd.DataFrame | None) -> pd.DataFrame:
    """One row per unsuccessful row span: `ATTEMPT_COLUMNS`.

    A row span without a result of its own has that of the batch it hangs under.
    """
    if spans is None or spans.empty:
        return _attempts([])
    above = {
        (trace, own): attributes
        for trace, own, attributes in zip(
            spans["trace_id"], spans["span_id"], spans["attributes"], strict=True
        )
    }
    told = []
    rows = spans[spans["operation"] == ROW]
    for trace, parent, attributes in zip(
        rows["trace_id"], rows["parent_id"], rows["attributes"], strict=True
    ):
        whole = {**above.get((trace, parent), {}), **attributes}
        if read_key("result", whole) in UNSUCCESSFUL:
            told.append(_told(whole, row=read_key("outbox_event_id", attributes)))
    return _attempts(told)


def _told(fields: Mapping[str, object], *, row: str) -> Told:
    number = str(fields.get("attempt", ""))
    return (
        read_key("projection", fields),
        read_key("op", fields),
        canonical(read_key("reason", fields)),
        row,
        int(number) if number.isascii() and number.isdigit() else -1,
        read_key("result", fields),
    )


def _attempts(told: Iterable[Told]) -> pd.DataFrame:
    kept = [one for one in told if one[3]]
    return pd.DataFrame(kept, columns=list(ATTEMPT_COLUMNS))


def _measure(seen: pd.DataFrame, *, by: str) -> Folding:
    """Per row the attempts seen, or the span of their numbers where sampling left some out."""
    each = seen.groupby(["projection", "reason", "row"])["attempt"].agg(["size", "min", "max"])
    each["cost"] = each["size"].where(each["min"] < 0, each["max"] - each["min"] + 1)
    each["cost"] = each[["size", "cost"]].max(axis=1)
    means = each.groupby(level=["projection", "reason"])["cost"].mean()
    keys = [(str(projection), str(reason)) for projection, reason in means.index.to_list()]
    return Folding(
        by=by,
        attempts=round(float(each["cost"].sum())),
        rows=int(seen["row"].nunique()),
        per_row=dict(zip(keys, means.tolist(), strict=True)),
    )
