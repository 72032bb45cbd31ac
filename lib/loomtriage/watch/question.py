"""Question: which parameters of the path does an alert ask for, and what of it is believed?

Label and annotation names never become anything; of the values only those of five known labels
are taken, each checked against the contract. Addresses are never fetched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from loomtriage.contract.keys import OUTBOX_TABLES, Result, canonical_projection
from loomtriage.contract.reasons import is_known
from loomtriage.contract.rules import LAB, PRODUCTION
from loomtriage.model import Scope, Window
from loomtriage.model.window import iso
from loomtriage.watch.payload import Delivery

LEAD = timedelta(minutes=5)
"""An alert fires only after its `for`, over a range: the trouble began before."""
LONGEST = timedelta(minutes=60)
"""A longer window costs more than it tells: the onset is at its beginning."""
CLOSING_LEAST = timedelta(seconds=60)
"""What a closing run looks at, at least; in the lab 10 s, below which no row comes through."""
CLOSING_LEAST_LAB = timedelta(seconds=10)
BASELINE = timedelta(minutes=15)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
SCALES = {"live": PRODUCTION, "lab": LAB}
"""Kinds of source that have a now, and how much faster alerts are there (a lab minute is 1 s)."""


def parameters_of(delivery: Delivery, *, source: str, now: datetime) -> dict[str, str]:
    """Parameters for `open_case`: window, baseline, and the scope keys that the path takes.

    Args:
        delivery: the alert group.
        source: source spec of the one who runs the path, never of the alert.
        now: aware UTC; the window ends no later.
    """
    scale = SCALES.get(source.partition(":")[0])
    if scale is None:
        # A recording answers what it was asked then, in its own windows, and no more.
        return {"source": source}
    # A clock that runs ahead must not make a window of the future.
    start = min(delivery.starts_at, now) - LEAD / scale
    if delivery.status == "resolved":
        least = CLOSING_LEAST if scale == PRODUCTION else CLOSING_LEAST_LAB
        start = min(delivery.ends_at or now, now - least)
    window = Window(start, min(now, start + LONGEST / scale))
    scope = scope_of(delivery)
    return {
        "source": source,
        "start": iso(window.start),
        "end": iso(window.end),
        "baseline": f"{round(BASELINE.total_seconds() / scale)}s",
        "env": scope.env,
        "projection": scope.projection,
    }


def scope_of(delivery: Delivery) -> Scope:
    """What all alerts that speak agree on, as far as the contract knows it."""
    return Scope(
        env=_agreed(delivery, "env", _word),
        projection=_agreed(delivery, "projection", _projection),
        op=_agreed(delivery, "op", lambda v: v if v in {"upsert", "delete"} else ""),
        reason=_agreed(delivery, "reason", lambda v: v if is_known(v) else ""),
        result=_agreed(delivery, "result", lambda v: v if v in set(Result) else ""),
    )


def alert_json(delivery: Delivery) -> Mapping[str, object]:
    """What of the alert is kept in the run folder: names, start, and the scope it spoke of."""
    return {
        "schema": 1,
        "status": delivery.status,
        "names": list(delivery.names),
        "starts_at": iso(delivery.starts_at),
        "scope": scope_of(delivery).as_json(),
        "alerts": len(delivery.alerts) + delivery.truncatedAlerts,
    }


def _agreed(delivery: Delivery, label: str, believed: Callable[[str], str]) -> str:
    found = {believed(alert.labels.get(label, "")) for alert in delivery.speaking}
    return found.pop() if len(found) == 1 else ""


def _projection(value: str) -> str:
    full = canonical_projection(value)
    return full if full in OUTBOX_TABLES else ""


def _word(value: str) -> str:
    """A name as our systems have them; anything else says nothing."""
    return value if _WORD.fullmatch(value) and ".." not in value else ""
