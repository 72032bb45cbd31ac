"""Dumb baselines: what would somebody get who always says the same, or counts words in the log?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from loomtriage.case import Case
from loomtriage.train.answers import Answers
from loomtriage.train.truth import NOTHING_WRONG, Truth

WORDS: Mapping[str, re.Pattern[str]] = {
    cause: re.compile(words, re.IGNORECASE)
    for cause, words in {
        "es_down": r"refused|unreachable|connect",
        "es_429": r"\b429\b|rejected|rate.?limit|queue",
        "es_5xx": r"\b50[0-9]\b|internal server",
        "es_slow": r"time.?out|slow",
        "es_poison_4xx": r"mapping|\b400\b|parse|document",
        "es_write_block": r"\b403\b|block|read.?only",
        "es_bulk_partial": r"bulk|partial|item",
        "db_contention": r"lock|contention|starved",
        "stuck_reclaim": r"reclaim|lease|stuck",
        "duplicate_delivery": r"duplicate|no.?op|already|version_conflict",
        "projection_version": r"projection_version|rule version",
        "collector_down": r"export|collector|otlp",
    }.items()
}
"""What one would search a log for when thinking of a cause."""


def commonest(truths: Iterable[Truth]) -> Answers:
    """Always the cause that is right most often among these, with hindsight."""
    (cause, _), *_ = Counter(truth.causes[0] for truth in truths).most_common(1)
    return _always(cause)


def by_words(case: Case) -> Answers:
    """The cause whose words stand in most of the loud lines of the window."""
    lines = case.pull("lines").data
    if not len(lines):
        return _always(NOTHING_WRONG)
    loud = lines[lines["level"].isin(["WARNING", "ERROR", "CRITICAL"])]
    loud = loud[(loud["ts"] >= case.window.start) & (loud["ts"] < case.window.end)]
    said = (
        loud["message"].astype(str) + " " + loud["event"].astype(str) + loud["fields"].astype(str)
    )
    hits = Counter({cause: int(said.str.contains(words).sum()) for cause, words in WORDS.items()})
    cause, count = hits.most_common(1)[0]
    return _always(cause if count else NOTHING_WRONG)


def _always(cause: str) -> Answers:
    return Answers(wrong="no" if cause == NOTHING_WRONG else "yes", cause=cause)
