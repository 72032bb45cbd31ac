"""What do spans and log lines say of why attempts failed: statuses, error classes, reasons?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from loomtriage.analysis.counters.folding import attempts_in_lines, attempts_in_spans
from loomtriage.analysis.steps.outcomes import failing
from loomtriage.contract.keys import read_key
from loomtriage.contract.reasons import SUMMARIES, canonical
from loomtriage.contract.spans import BATCH, CLAIM, ES_METHODS

_STATUS_IN_TEXT = re.compile(r"\b([1-5]\d\d)\b[^\n]{0,40}' for url")
_ERROR_CLASS = re.compile(r"\b([A-Z][A-Za-z]{2,40}(?:Error|Exception|Timeout))\b")
_READ = 300
"""Characters of an error text that are searched for its class."""
MOST_CLASSES = 10
GONE = 404
"""What Elasticsearch answers to the delete of a missing document: success, flagged as error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What one signal says about failing attempts.

    Attributes:
        statuses: HTTP statuses of failing calls to Elasticsearch, with counts.
        without_status: failing calls that never got one.
        classes: exception classes by how often they are named.
        reasons: canonical reasons of unsuccessful rows, batches or claims, with counts.
    """

    statuses: Mapping[int, int] = field(default_factory=dict)
    without_status: int = 0
    classes: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)

    def names(self, *reasons: str) -> int:
        """How often it names one of these reasons."""
        return sum(self.reasons.get(reason, 0) for reason in reasons)


def of_spans(spans: pd.DataFrame | None) -> Voice:
    """What the spans of a window say; nothing when the signal is missing."""
    if spans is None or spans.empty:
        return Voice()
    chosen = spans[(spans["kind"] == "client") & spans["operation"].isin(ES_METHODS)]
    chosen = chosen[failing(chosen)] if len(chosen) else chosen
    statuses = [
        _int(a.get("http.status_code") or a.get("http.response.status_code"))
        for a in chosen["attributes"]
    ]
    whole = spans[spans["operation"].isin((BATCH, CLAIM))]
    named = _named(attempts_in_spans(spans), whole["attributes"])
    return Voice(
        statuses=_ranked(s for s in statuses if s and s != GONE),
        without_status=statuses.count(0),
        classes=_ranked(_classes(chosen["status_message"])),
        reasons=_ranked(named),
    )


def of_lines(lines: pd.DataFrame | None) -> Voice:
    """What the log lines of a window say; nothing when the signal is missing."""
    if lines is None or lines.empty:
        return Voice()
    errors = [
        str(f.get("error") or "") or _last_line(str(f.get("exc_info") or ""))
        for f in lines["fields"]
    ]
    statuses = []
    for fields in lines["fields"]:
        match = _STATUS_IN_TEXT.search(str(fields.get("exc_info") or ""))
        statuses.append(_int(fields.get("http_status")) or (int(match[1]) if match else 0))
    named = _named(attempts_in_lines(lines), lines["fields"])
    return Voice(
        statuses=_ranked(s for s in statuses if s >= 400 and s != GONE),
        classes=_ranked(_classes(errors)),
        reasons=_ranked(named),
    )


def _named(attempts: pd.DataFrame, wholes: Iterable[Mapping[str, object]]) -> list[str]:
    """Reasons of rows, and those that only batches or claims tell.

    Owner mismatches and expired leases are told without the row; a batch that repeats what its
    rows say is not counted again.
    """
    by_row = [str(reason) for reason in attempts["reason"] if reason]
    told = (canonical(read_key("reason", one)) for one in wholes if not _of_a_row(one))
    return by_row + [name for name in told if name not in {"", "none", *SUMMARIES, *by_row}]


def _of_a_row(one: Mapping[str, object]) -> bool:
    return bool(read_key("outbox_event_id", one))


def _classes(texts: Iterable[object]) -> Iterable[str]:
    for text in texts:
        yield from _ERROR_CLASS.findall(str(text)[:_READ])[:1]


def _last_line(text: str) -> str:
    """The root exception of a traceback: its last line that begins with a class."""
    kept = [line for line in text.splitlines() if line.strip()]
    named = [line for line in kept if _ERROR_CLASS.match(line.split(":")[0].rsplit(".", 1)[-1])]
    return (named or kept or [""])[-1]


def _ranked(items: Iterable[object]) -> dict:  # type: ignore[type-arg]  # of whatever was counted
    return dict(Counter(items).most_common(MOST_CLASSES))


def _int(value: object) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 0
