"""Rules about Elasticsearch: what a rule may rule out, beside what else was counted."""

from __future__ import annotations

from dataclasses import replace

from loomtriage.analysis.causes.decide import decide
from tests.analysis.causes.test_causes import QUIET, blame

REJECTED = blame("rate_limited")
FAILED = blame("mapping_conflict", "failed", 9.0)


def test_rejected_writes_exclude_poison_only_where_nothing_failed():
    """Nothing is ruled out by what did not happen while it did happen."""
    both = decide(replace(QUIET, blames=(REJECTED, FAILED)))
    assert [found.cause for found in both] == ["es_429", "es_poison_4xx"]
    assert not [text for text in both[0].rejected if "failed for good" in text]
    (alone,) = decide(replace(QUIET, blames=(REJECTED,)))
    assert "es_poison_4xx: nothing failed for good" in alone.rejected
