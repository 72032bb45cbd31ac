"""Conform on whole evidence: the known gaps of a real system, and every signal taken away."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from loomtriage.case import open_case
from loomtriage.contract.catalogue import BY_ID, BY_WIRE
from loomtriage.errors import UsageError
from loomtriage.model import State
from loomtriage.stages import ASIDE, PATH, STAGES, steps_to
from loomtriage.stages.conform import conform
from tests.stages.whole import blind

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "wordloom-v3"
SIGNALS = ("metrics", "traces", "logs")

# Scenario -> gaps that its evidence must show: demand, and words of the gap.
KNOWN = {
    "es_down_connect": (
        ("metrics_labels", "label env"),
        ("metrics_present", "outbox_es_bulk_failed_requests_total"),
        ("reasons_spelling", "es_connect for es_unreachable"),
        ("keys_equal", "projection search"),
        ("pivots_correlation", "no correlation id"),
        ("lines_rows", "no outbox.row_* line"),
    ),
    "es_write_block_4xx": (
        ("reasons_status", "es_4xx"),
        ("spans_attributes", "attribute result"),
        ("lines_fields", "field env"),
    ),
    "es_bulk_partial": (("metrics_last_success", "0 on worker"),),
    "db_claim_contention": (("reasons_spelling", "owner_mismatch for db_contention"),),
    "projection_version": (
        ("lines_trace_ids", "no trace_id"),
        ("lines_schema", "no marker"),
        ("spans_schema", "no marker"),
        ("spans_spelling", "wordloom.outbox.id for wordloom.outbox_event_id"),
        ("keys_equal", "projection chronicle"),
    ),
}


def _judged(source, *, without=()):
    result = conform(blind(open_case("conform", source=source), without))
    return result, {f.check: f for f in result.verdict.findings}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="Wordloom's sample runs are not here")
@pytest.mark.parametrize("scenario", sorted(KNOWN))
def test_the_known_gaps_of_a_real_system_are_found(scenario):
    """Each as a warning that names the place and says what triage loses."""
    (run,) = (SAMPLES / scenario).iterdir()
    result, found = _judged(f"labs:{run}")
    gaps = [f"{what} in {where}" for what, where, *_ in result.table("gaps").rows]
    for demand, words in KNOWN[scenario]:
        assert found[f"conform.{demand}"].state is State.WARN
        assert any(words in gap for gap in gaps), words
    assert all(row[-1] for row in result.table("gaps").rows)
    assert result.verdict.state is State.WARN


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="Wordloom's sample runs are not here")
@pytest.mark.parametrize(
    ("scenario", "gone"), [("collector_down", "traces"), ("duplicate_delivery", "logs")]
)
def test_a_signal_that_the_evidence_lacks_is_no_data(scenario, gone):
    """It is named, and nothing is said of its demands."""
    (run,) = (SAMPLES / scenario).iterdir()
    result, found = _judged(f"labs:{run}")
    assert found[f"conform.{gone}"].state is State.NO_DATA
    assert result.verdict.state is State.NO_DATA


@pytest.mark.parametrize(
    "gone", [*combinations(SIGNALS, 1), *combinations(SIGNALS, 2), SIGNALS], ids="+".join
)
def test_the_rest_is_judged_when_signals_are_taken_away(gone):
    """One, two or all: named, never an error, never healthy."""
    result, found = _judged("example:es_down", without=gone)
    assert [f.check for f in found.values() if f.state is State.NO_DATA] == [
        f"conform.{signal}" for signal in SIGNALS if signal in gone
    ]
    assert State.ERROR not in {f.state for f in found.values()}
    assert result.verdict.state is not State.OK
    for signal, word in (("metrics", "metrics"), ("traces", "spans"), ("logs", "lines")):
        judged = any(check.startswith(f"conform.{word}_") for check in found)
        assert judged is (signal not in gone)


def test_every_metric_of_the_catalogue_is_told_one_by_one():
    """In a recorded run each is there and obeys, but the histogram; without metrics none is OK."""
    rows = _judged("example:es_down")[0].table("metrics").rows
    assert [row[0] for row in rows] == list(BY_WIRE)
    assert {row[0]: row[1:3] for row in rows if row[1] != "OK"} == {
        BY_ID["bulk_duration"].name: ("NO_DATA", "not asked")
    }
    blinded = _judged("example:es_down", without=("metrics",))[0].table("metrics").rows
    assert [row[:2] for row in blinded] == [(name, "NO_DATA") for name in BY_WIRE]


def test_conform_stands_beside_the_path():
    """The path does not run it; asked for by name it runs alone."""
    assert set(STAGES.names) == {*PATH, *ASIDE}
    assert steps_to("conform") == ("conform",)
    assert steps_to("narrow") == ("preflight", "narrow")
    with pytest.raises(UsageError):
        steps_to("guess")
