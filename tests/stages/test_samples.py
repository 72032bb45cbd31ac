"""Wordloom's own evidence: one real run per scenario, imperfect as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stages.whole import triage

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "wordloom-v3"

pytestmark = [
    pytest.mark.skipif(not SAMPLES.is_dir(), reason="Wordloom's sample runs are not here"),
]

# What the evidence allows; `unknown` where two scrapes and no baseline allow nothing.
ANSWERS = {
    "collector_down": {"collector_down"},
    "db_claim_contention": {"db_contention"},
    "duplicate_delivery": {"unknown"},
    "es_429_inject": {"es_429"},
    "es_bulk_partial": {"es_bulk_partial", "unknown"},
    "es_down_connect": {"es_down"},
    "es_write_block_4xx": {"es_write_block"},
    "projection_version": {"unknown"},
    "stuck_reclaim": {"stuck_reclaim", "unknown"},
}


@pytest.mark.parametrize("scenario", sorted(ANSWERS))
def test_a_real_run_gives_a_right_or_an_honest_answer(scenario, tmp_path):
    """The cause that the evidence carries, or `unknown` with the reason; never a wrong one."""
    for run in sorted((SAMPLES / scenario).iterdir()):
        folder = tmp_path / run.name
        folder.mkdir()
        verdict = triage(f"labs:{run}", folder)
        assert verdict["cause"] in ANSWERS[scenario]
        assert verdict["state"] not in ("OK", "ERROR")
        assert verdict["missing"]
        assert verdict["confidence"] <= 0.6
        if verdict["cause"] == "unknown":
            assert verdict["why"]
