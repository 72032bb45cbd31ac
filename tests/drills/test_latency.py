"""How long after the witness each signal shows a fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loomtriage.drills.latency import measure_latency
from loomtriage.handover import before, read_handover
from loomtriage.lab.servers.prometheus import SCRAPE_S
from loomtriage.report import latency

EXAMPLE = Path(__file__).resolve().parents[2] / "runbooks/examples/es_down"
SEEN = {
    "metric_onset": "2026-02-14T14:21:35.500Z",
    "first_error_span": "2026-02-14T14:21:34.050Z",
    "first_error_line": "2026-02-14T14:21:34.350Z",
}


def drill(*, witness: tuple[str, ...] = ("refused",), looked_s: float = 0.1) -> dict[str, object]:
    """A drill whose fault was applied in 0.2 s at 14:21:34 and witnessed right afterwards."""
    return {
        "phases": [
            {"name": "applied", "at": "2026-02-14T14:21:34.000Z", "seconds": 0.2},
            {"name": "verified", "at": "2026-02-14T14:21:34.200Z", "seconds": looked_s},
        ],
        "witness": list(witness),
    }


def by_name(moments):
    return {moment.name: moment for moment in moments}


@pytest.mark.parametrize(
    ("name", "after_s", "within_s"),
    [
        ("fault applied", -0.1, 0.3),
        ("witness", 0.0, 0.3),
        ("metric moved", 1.2, 0.3 + SCRAPE_S),
        ("first error span", -0.25, 0.3),
        ("first error line", 0.05, 0.3),
    ],
)
def test_moments_are_counted_from_the_witness(name, after_s, within_s):
    """Zero is the end of the witness's look, earlier is negative, and metrics wait for scrapes."""
    moment = by_name(measure_latency(drill(), SEEN))[name]
    assert moment.after_s == pytest.approx(after_s)
    assert moment.within_s == pytest.approx(within_s)


def test_a_witness_that_looked_long_dates_badly():
    """The longer the witness looked, the less sure is every distance from it."""
    told = by_name(measure_latency(drill(looked_s=2.8), SEEN))
    assert told["first error span"].after_s == pytest.approx(-2.95)
    assert told["first error span"].within_s == pytest.approx(3.0)


@pytest.mark.parametrize("left", [{}, dict.fromkeys(SEEN, ""), dict.fromkeys(SEEN, "soon")])
def test_what_nobody_saw_is_never_zero(left):
    """A signal that showed nothing, or no time, is `not seen` and has no distance."""
    moments = measure_latency(drill(), left)
    unseen = [m for m in moments if m.signal]
    assert len(unseen) == 3
    assert {(m.at, m.after_s, m.within_s) for m in unseen} == {(None, None, None)}
    rows = latency.table([m.as_json() for m in moments]).rows[2:]
    assert [row[2:] for row in rows] == [("not seen", "not seen", "")] * 3


def test_without_a_witness_there_is_no_zero():
    """Moments keep their times when nothing witnessed the fault, and no distance is made up."""
    told = by_name(measure_latency(drill(witness=()), SEEN))
    assert told["witness"].at is None
    assert told["metric moved"].at is not None
    assert {moment.after_s for moment in told.values()} == {None}


@pytest.mark.parametrize("broken", [{}, {"phases": "x", "witness": 3}, {"phases": [{"at": "?"}]}])
def test_an_odd_result_gives_no_distance(broken):
    """A result whose phases cannot be read gives no number instead of an exception."""
    assert {moment.after_s for moment in measure_latency(broken, SEEN)} == {None}


def test_alerts_are_rows_only_where_rules_were_asked():
    """An alert that nobody could raise is no row; one that was asked for and did not come is."""
    assert "alert firing" not in by_name(measure_latency(drill(), SEEN))
    asked = {**SEEN, "alert_pending": "2026-02-14T14:21:36.000Z", "alert_firing": ""}
    told = by_name(measure_latency(drill(), asked))
    assert told["alert pending"].after_s == pytest.approx(1.7)
    assert told["alert firing"].at is None


def test_the_recorded_run_has_every_moment():
    """In the recorded run all three signals saw the fault, and the chart names them in order."""
    content = json.loads((EXAMPLE / "drill.json").read_text(encoding="utf-8"))
    moments = measure_latency(content, before(read_handover(EXAMPLE), ""))
    assert all(moment.after_s is not None for moment in moments)
    chart = latency.chart([moment.as_json() for moment in moments])
    assert chart.png
    assert all(moment.name in chart.alt for moment in moments)


def test_nothing_told_is_nothing_shown():
    """A drill without moments has neither table nor chart."""
    assert latency.table(None) is None
    assert latency.chart({"detect_s": 5.3}) is None
