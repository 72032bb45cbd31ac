"""Targets: what does the metrics server scrape, and how did it go the last time?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd

from loomtriage.model.frame import TARGET_COLUMNS
from loomtriage.sources.metrics.promql_answer import read_data
from loomtriage.sources.metrics.series import in_scope
from loomtriage.sources.question import Question
from loomtriage.sources.redact import safe
from loomtriage.sources.tape import Unreadable

APPEARS = "The server scrapes nothing. Add the workers to its scrape configuration."
_NEVER_BEFORE_YEAR = 1971
"""A target that was never scraped carries the year 1."""


def target_table(body: bytes, question: Question) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """One row a target of the scope's env, by job and instance.

    `health` is `up`, `down` or `unknown`; `last_error` is why it is down; `last_scrape` is aware
    UTC, NaT when there was none; `labels` are all that its series carry.

    Raises:
        Unreadable: the body is damaged or has another shape.
    """
    data, notes = read_data(body, dict)
    try:
        rows = [_row(one) for one in data["activeTargets"]]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Unreadable("wrong_content", "The answer is no list of targets.") from None
    found = [row for row in rows if in_scope(row["labels"], question.scope)]
    rows = list({(row["url"], *sorted(row["labels"].items())): row for row in found}.values())
    rows.sort(key=lambda row: (row["job"], row["instance"], row["url"]))
    if len(rows) < len(found):
        notes = (*notes, f"{len(found) - len(rows)} repeated targets were left out.")
    old = sum(moment < question.window.start for row in rows if (moment := row["last_scrape"]))
    if old:
        says = f"stale: {old} of {len(rows)} targets were not scraped since the window began."
        notes = (*notes, says)
    table = pd.DataFrame(rows, columns=list(TARGET_COLUMNS))
    return table.assign(last_scrape=pd.to_datetime(table["last_scrape"], utc=True)), notes


def _row(one: dict[str, Any]) -> dict[str, Any]:
    labels = {str(name): str(value) for name, value in one["labels"].items()}
    return {
        "job": labels.get("job", ""),
        "instance": labels.get("instance", ""),
        "url": str(one.get("scrapeUrl", "")),
        "health": str(one["health"]),
        "last_error": safe(str(one.get("lastError") or ""), limit=300),
        "last_scrape": _moment(str(one.get("lastScrape") or "")),
        "labels": labels,
    }


def _moment(text: str) -> datetime | None:
    moment = datetime.fromisoformat(text) if text else None
    if moment is None or moment.year < _NEVER_BEFORE_YEAR:
        return None
    return moment.astimezone(UTC)
