"""Tries: which attempts at which row do lines and spans tell of, in the order of time?"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import pandas as pd

from loomtriage.contract.events import ROW_PREFIX
from loomtriage.contract.keys import canonical_projection, read_key
from loomtriage.contract.reasons import canonical
from loomtriage.contract.spans import ROW
from loomtriage.errors import UsageError
from loomtriage.model.window import parse_instant

COLUMNS = ("row_id", "at", "projection", "attempt", "result", "reason", "planned_s", "due", "ref")
"""One row per try: aware-UTC `at` and `due` (NaT without one), planned wait in seconds."""
LOST = "lost"
"""Result of a try whose row was not this worker's any more; the row itself was not changed."""
_ENDS = {"done": "ok", "retry": "retry", "failed": "failed", "lost": LOST}
_STATUS = ("http_status", "http.status_code")


def tries_of_lines(lines: pd.DataFrame) -> pd.DataFrame:
    """The tries that the lines of a LINES table tell of, each naming its row."""
    mine = lines[lines["event"].astype(str).str.startswith(ROW_PREFIX)] if len(lines) else lines
    told = zip(mine["ts"], mine["event"], mine["fields"], mine["sha256"], strict=True)
    return _table([one for row in told if (one := _of_line(*row))])


def tries_of_spans(spans: pd.DataFrame) -> pd.DataFrame:
    """The tries that the row spans of a SPANS table tell of; they know no planned wait."""
    mine = spans[spans["operation"] == ROW]
    begun = pd.to_datetime(mine["start"], utc=True)
    ends = begun + pd.to_timedelta(mine["duration_s"].astype(float), unit="s")
    told = zip(ends, mine["attributes"], mine["span_id"], strict=True)
    return _table([one for row in told if (one := _of_span(*row))])


def _table(built: list[tuple[object, ...]]) -> pd.DataFrame:
    table = pd.DataFrame(built, columns=list(COLUMNS))
    for name in ("at", "due"):
        table[name] = pd.to_datetime(table[name], utc=True)
    table["planned_s"] = table["planned_s"].astype("float64")
    return table.sort_values(["row_id", "at"], kind="stable").reset_index(drop=True)


def _of_line(
    at: object, event: object, fields: Mapping[str, object], sha256: object
) -> tuple[object, ...] | None:
    row_id = read_key("outbox_event_id", fields)
    result = _ENDS.get(str(event).removeprefix(ROW_PREFIX))
    if not row_id or result is None:
        return None
    due = fields.get("next_retry_at")
    planned = fields.get("backoff_s")
    return (
        row_id,
        at,
        read_key("projection", fields),
        _whole(fields.get("attempt")),
        result,
        _reason(fields),
        float(planned) if isinstance(planned, int | float) else None,
        _instant(due),
        f"sha256:{sha256}",
    )


def _of_span(
    at: object, attributes: Mapping[str, object], span_id: object
) -> tuple[object, ...] | None:
    row_id, result = read_key("outbox_event_id", attributes), read_key("result", attributes)
    if not row_id or not result:
        return None
    reason = _reason(attributes)
    lost = reason in {"lease_expired", "db_contention"}
    return (
        row_id,
        at,
        canonical_projection(read_key("projection", attributes)),
        _whole(attributes.get("attempt")),
        LOST if lost else result,
        reason,
        None,
        None,
        f"span:{span_id}",
    )


def _reason(pairs: Mapping[str, object]) -> str:
    status = next((_whole(pairs[name]) for name in _STATUS if name in pairs), None)
    return canonical(read_key("reason", pairs), status=status or None)


def _whole(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0


def _instant(value: object) -> object:
    with suppress(UsageError):
        return parse_instant(str(value)) if value else None
    return None
