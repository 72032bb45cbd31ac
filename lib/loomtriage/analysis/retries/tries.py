"""Tries: which attempts at which row do lines and spans tell of, in the order of time?"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from loomtriage.contract.events import ROW_PREFIX
from loomtriage.contract.keys import canonical_projection, read_key
from loomtriage.contract.reasons import canonical
from loomtriage.contract.spans import ROW

COLUMNS = ("row_id", "at", "projection", "attempt", "result", "reason", "planned_s", "ref", "life")
"""One row per try: aware-UTC `at`, planned wait in seconds (NaN without one), and which life of
the row it belongs to, counted from 0: a row that came to its end and is replayed begins anew."""
LOST = "lost"
"""Result of a try whose row was not this worker's any more; the row itself was not changed."""
_ENDS = {"done": "ok", "retry": "retry", "failed": "failed", "lost": LOST}
_STATUS = ("http_status", "http.status_code")
_MOST = 86_400.0
"""Seconds, rows or attempts: what says more says nonsense."""


def tries_of_lines(lines: pd.DataFrame) -> pd.DataFrame:
    """The tries that the lines of a LINES table tell of, each naming its row."""
    mine = lines[lines["event"].astype(str).str.startswith(ROW_PREFIX)] if len(lines) else lines
    told = zip(mine["ts"], mine["event"], mine["fields"], mine["sha256"], strict=True)
    return _table([one for row in told if (one := _of_line(*row))])


def tries_of_spans(spans: pd.DataFrame) -> pd.DataFrame:
    """The tries that the row spans of a SPANS table tell of; they know no planned wait."""
    mine = spans[spans["operation"] == ROW]
    # Typed before they are added: objects would be added one by one.
    begun = pd.to_datetime(mine["start"], utc=True).astype("datetime64[us, UTC]")
    lasted = (mine["duration_s"].astype("float64") * 1e6).round().astype("timedelta64[us]")
    told = zip(begun + lasted, mine["attributes"], mine["span_id"], strict=True)
    return _table([one for row in told if (one := _of_span(*row))])


def number(value: object) -> float | None:
    """A number of a line as it may be believed: finite, from 0 to 86400; None otherwise."""
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if math.isfinite(found) and 0.0 <= found <= _MOST else None


def _table(built: list[tuple[object, ...]]) -> pd.DataFrame:
    table = pd.DataFrame(built, columns=list(COLUMNS[:-1]))
    table["at"] = pd.to_datetime(table["at"], utc=True)
    table["planned_s"] = table["planned_s"].astype("float64")
    table["attempt"] = table["attempt"].astype("int64")
    table = table.sort_values(["row_id", "at"], kind="stable").reset_index(drop=True)
    return table.assign(life=_lives(table))


def _lives(table: pd.DataFrame) -> pd.Series:
    """Which life of its row each try belongs to: the next begins after an end, or at a fall.

    A replay sets attempts back, also where the line that told of the end is not seen.
    """
    rows = table["row_id"]
    ended = table["result"].isin(("ok", "failed")).groupby(rows).shift(1, fill_value=False)
    retried = table["attempt"].where(table["result"].eq("retry") & (table["attempt"] > 0))
    known = retried.groupby(rows).ffill().groupby(rows).shift(1)
    begins = ended.astype(bool) | (retried < known)
    return begins.groupby(rows).cumsum().astype("int64")


def _of_line(
    at: object, event: object, fields: Mapping[str, object], sha256: object
) -> tuple[object, ...] | None:
    row_id = read_key("outbox_event_id", fields)
    result = _ENDS.get(str(event).removeprefix(ROW_PREFIX))
    if not row_id or result is None:
        return None
    return (
        row_id,
        at,
        read_key("projection", fields),
        _whole(fields.get("attempt")),
        result,
        _reason(fields),
        number(fields.get("backoff_s")),
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
        f"span:{span_id}",
    )


def _reason(pairs: Mapping[str, object]) -> str:
    status = next((_whole(pairs[name]) for name in _STATUS if name in pairs), None)
    return canonical(read_key("reason", pairs), status=status or None)


def _whole(value: object) -> int:
    return int(number(value) or 0)
