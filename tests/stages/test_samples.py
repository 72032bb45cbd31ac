"""Wordloom's own evidence: one real run per scenario, imperfect as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.stages.whole import verdict_of

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "wordloom-v3"

pytestmark = [
    pytest.mark.skipif(not SAMPLES.is_dir(), reason="Wordloom's sample runs are not here"),
]

# What the evidence allows: a version that no signal names stays `unknown`.
ANSWERS = {
    "collector_down": {"collector_down"},
    "db_claim_contention": {"db_contention"},
    "duplicate_delivery": {"duplicate_delivery"},
    "es_429_inject": {"es_429"},
    "es_bulk_partial": {"es_bulk_partial"},
    "es_down_connect": {"es_down"},
    "es_write_block_4xx": {"es_write_block"},
    "projection_version": {"unknown"},
    "stuck_reclaim": {"stuck_reclaim"},
}

WHY = {
    "projection_version": {"baseline", "version", "names"},
}


@pytest.mark.parametrize("scenario", sorted(ANSWERS))
def test_a_real_run_gives_a_right_or_an_honest_answer(scenario):
    """The cause that the evidence carries, or `unknown` with the reason; never a wrong one."""
    for run in sorted((SAMPLES / scenario).iterdir()):
        verdict = verdict_of(f"labs:{run}")
        assert verdict["cause"] in ANSWERS[scenario]
        assert verdict["state"] not in ("OK", "ERROR")
        assert verdict["missing"]
        assert verdict["confidence"] <= 0.6
        if verdict["cause"] == "unknown":
            assert WHY[scenario] <= set(re.findall(r"[a-z]+", verdict["why"]))


CONTAMINATED = {
    "db_claim_contention": {"traces"},
    "es_bulk_partial": {"traces"},
    "projection_version": {"metrics"},
    "stuck_reclaim": {"metrics", "traces"},
}


@pytest.mark.parametrize("scenario", sorted(CONTAMINATED))
def test_a_contaminated_leg_is_named_with_what_is_in_it(scenario):
    """Foreign traces, cut-off lists and counters that were not zero before are said aloud."""
    (run,) = (SAMPLES / scenario).iterdir()
    findings = verdict_of(f"labs:{run}")["findings"]
    legs = {f["check"].rsplit(".", 1)[-1] for f in findings if ".leg." in f["check"]}
    assert legs >= CONTAMINATED[scenario]


@pytest.mark.parametrize("scenario", ["es_429_inject", "es_down_connect", "es_write_block_4xx"])
def test_few_events_are_named_as_a_warning(scenario):
    """Below six rows a cause stands on agreement, and its state says so."""
    (run,) = (SAMPLES / scenario).iterdir()
    verdict = verdict_of(f"labs:{run}")
    cause = next(f for f in verdict["findings"] if f["check"] == "explain.cause")
    assert (verdict["state"], cause["state"]) == ("WARN", "WARN")
