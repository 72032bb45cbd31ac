"""Proofs: which lines of a window prove a cause, and how does such a line read as evidence?"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeAlias

import pandas as pd

from loomtriage.analysis.causes import crashes as causes
from loomtriage.case import Case
from loomtriage.contract.keys import read_key
from loomtriage.model import Evidence, Finding, State
from loomtriage.report.text import clip
from loomtriage.stages.links import trace_url

Line: TypeAlias = "Mapping[Hashable, Any] | pd.Series[Any]"
"""One line with the LINES columns."""

SAYS, SHOWN = 300, 3
_RECLAIMED = ("outbox.reclaimed", "outbox.lease_expired")
_NOOP = "(noop)"


def in_words(line: Line) -> str:
    """Where the line stands and what it says, its error or its other particulars included."""
    fields = line["fields"]
    owner, noop = fields.get("previous_owner"), fields.get("noop")
    particulars = (
        read_key("reason", fields),
        f"rows: {fields['count']}" if owner and "count" in fields else "",
        f"owner was {owner}" if owner else "",
        f"nothing left to do ({noop})" if noop else "",
    )
    told = ", ".join(part for part in particulars if part and part != "none")
    event = line["event"] or line["message"]
    more = str(fields.get("error") or (line["message"] if line["message"] != event else "") or told)
    said = f"{line['file']}:{line['line']} {line['level']} {event}"
    return f"{said}: {more}" if more else said


def line_evidence(case: Case, line: Line) -> Evidence:
    """The line as a pointer that resolves, with its trace where it names one."""
    return Evidence(
        kind="log_line",
        ref=f"sha256:{line['sha256']}",
        says=clip(in_words(line), SAYS),
        url=trace_url(case, line["trace_id"]) if line["trace_id"] else "",
    )


def telling_lines(causes: Iterable[str], lines: pd.DataFrame) -> list[pd.Series]:
    """The first line that tells of each cause which no surprising number of lines gives away."""
    found = []
    for cause in causes:
        tells = _TELLS.get(cause)
        chosen = (row for _, row in lines.iterrows() if tells(row)) if tells else iter(())
        found += [row for row in [next(chosen, None)] if row is not None]
    return found


def crashes(case: Case, lines: pd.DataFrame) -> tuple[Finding, ...]:
    """Log files that end with an exception: nothing that still runs says so."""
    says = causes.says(lines)
    if not says:
        return ()
    more = f"; and {len(says) - 1} more" if len(says) > 1 else ""
    ended = [row for _, row in causes.crashed(lines).head(SHOWN).iterrows()]
    return (
        Finding(
            check="explain.crash",
            state=State.BAD,
            says=f"{clip(says[0], SAYS)}{more}.",
            value=float(len(says)),
            unit="logs that end so",
            threshold=0.0,
            n=len(lines),
            evidence=tuple(line_evidence(case, row) for row in ended),
        ),
    )


def row_evidence(case: Case, line: Line) -> tuple[Evidence, ...]:
    """The outbox row and the trace that a line names."""
    row, trace = read_key("outbox_event_id", line["fields"]), line["trace_id"]
    where = f"named by {line['file']}:{line['line']}"
    at = trace_url(case, trace) if trace else ""
    return (
        *((Evidence(kind="trace", ref=trace, says=where, url=at),) if trace else ()),
        *((Evidence(kind="row", ref=row, says=where),) if row else ()),
    )


def _tells_of_reclaim(line: Line) -> bool:
    is_event = line["event"] in _RECLAIMED
    return is_event or str(line["message"]).startswith("Reclaimed ")


def _tells_of_repeat(line: Line) -> bool:
    return bool(line["fields"].get("noop")) or _NOOP in str(line["message"])


_TELLS: Mapping[str, Callable[[Line], bool]] = {
    "stuck_reclaim": _tells_of_reclaim,
    "duplicate_delivery": _tells_of_repeat,
}
