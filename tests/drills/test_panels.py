"""The five minimal panels move in the drills meant for them, and stand still in the placebo."""

from __future__ import annotations

import re
from functools import cache

import pandas as pd
import pytest

from loomtriage.analysis.counters.increases import measure
from loomtriage.case import open_case
from loomtriage.contract.board import MINIMAL
from loomtriage.contract.catalogue import BY_WIRE
from loomtriage.contract.panels import Panel

_ASKED = re.compile(r"sum by \(([^)]*)\) \(rate\((\w+)\{")

# Panel -> the drills that must move it.
MOVED_BY = {
    "Failed attempts by reason": ("es_down", "es_poison_4xx", "es_write_block", "es_429"),
    "Retries scheduled by reason": ("es_down", "es_429", "es_429_forced"),
    "Rows processed": ("es_down", "db_contention"),
    "Bulk requests by result": ("es_bulk_partial",),
    "Bulk requests that failed, by reason": ("es_bulk_partial",),
}
# Panel -> a drill with a fault that is none of its business.
UNMOVED_BY = {
    "Failed attempts by reason": "collector_down",
    "Retries scheduled by reason": "es_poison_4xx",
    "Rows processed": "collector_down",
    "Bulk requests by result": "es_down",
    "Bulk requests that failed, by reason": "es_down",
}
PAIRS = [(panel, drill) for panel in MINIMAL.panels for drill in MOVED_BY[panel.title]]


@cache
def recorded(drill: str):
    """The counters of a recorded drill over baseline and window, and how long each was."""
    case = open_case("narrow", source=f"example:{drill}")
    asked = {BY_WIRE[name].id for panel in MINIMAL.panels for _, name in [split_by(panel)]}
    frame = case.pull_metrics(*sorted(asked))
    grown = measure(frame, window=case.window, baseline=case.baseline)
    return grown, case.window.seconds / case.baseline.seconds


def split_by(panel: Panel) -> tuple[list[str], str]:
    """The labels that tell the curves of a panel apart, and the counter that it draws."""
    (query,) = panel.queries
    labels, name = _ASKED.match(query.expr).groups()
    return labels.split(", "), name


def curves(panel: Panel, drill: str) -> pd.DataFrame:
    """A row for each curve: how much it grew while the fault stood, and in the baseline."""
    labels, name = split_by(panel)
    grown, ratio = recorded(drill)
    table = grown.of(BY_WIRE[name].id).groupby(level=labels).sum()
    # As many seconds of baseline as there are of window.
    return table.assign(baseline=table["baseline"] * ratio)


def moved(panel: Panel, drill: str) -> bool:
    """Whether a curve appears that the baseline did not have, or work falls to half or less."""
    table = curves(panel, drill)
    if split_by(panel)[1] == "outbox_processed_total":
        before = table[table["baseline"] >= 10]
        return bool((before["observed"] <= before["baseline"] / 2).any())
    return bool(((table["observed"] > 0) & (table["baseline"] == 0)).any())


def test_every_minimal_panel_has_its_drill():
    """A sixth panel without a drill that moves it is noticed."""
    assert list(MOVED_BY) == list(UNMOVED_BY) == [panel.title for panel in MINIMAL.panels]


@pytest.mark.parametrize(
    ("panel", "drill"), PAIRS, ids=lambda one: one if isinstance(one, str) else one.title
)
def test_a_panel_moves_in_the_drill_that_is_meant_for_it(panel, drill):
    """Whoever looks at the panel while the fault stands sees it."""
    assert moved(panel, drill), curves(panel, drill)


@pytest.mark.parametrize("panel", MINIMAL.panels, ids=lambda panel: panel.title)
def test_a_panel_stands_still_where_nothing_is_the_matter_with_it(panel):
    """No curve appears in the placebo, nor under a fault that the panel is not about."""
    for drill in ("placebo", UNMOVED_BY[panel.title]):
        assert not moved(panel, drill), curves(panel, drill)


def test_the_placebo_had_work():
    """A panel that stands still says something: rows were processed all along."""
    work = curves(next(panel for panel in MINIMAL.panels if "processed" in panel.title), "placebo")
    assert (work.sum() > 20).all()
