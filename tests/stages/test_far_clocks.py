"""Clocks as the reason for there being no span: only those that can be it, and after log lines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loomtriage.analysis.apart import Apart
from loomtriage.case import open_case
from loomtriage.contract.keys import CHRONICLE, SEARCH
from loomtriage.model import Frame, Kind
from loomtriage.stages.legs import legs_of
from loomtriage.stages.locate import locate
from loomtriage.stages.preflight import look_at, preflight_findings
from loomtriage.stages.preflight_tracing import beyond
from tests.make import WINDOW, origin

DARK, LIT = "example:collector_down_at_start", "example:placebo"
CLOCK = "the worker at h:9110, against its scrapes, is 31.0 s ahead"
NO_SPANS = Frame.empty(Kind.SPANS, origin("traces"), missing="empty")


def clock(ahead_s: float, *projections: str) -> Apart:
    return Apart(whose="w", ahead_s=ahead_s, n=9, projections=projections)


@pytest.mark.parametrize(
    ("one", "is_beyond"),
    [
        (clock(31.0, SEARCH), True),
        (clock(-31.0, SEARCH), True),
        (clock(31.0), True),
        (clock(29.0, SEARCH), False),
        (clock(31.0, CHRONICLE), False),
    ],
    ids=["ahead", "behind", "of whom is not told", "less than the window", "of another worker"],
)
def test_a_clock_hides_all_spans_only_when_it_is_off_by_the_whole_window(one, is_beyond):
    """The window is 30 s; a clock that is less off leaves some of its spans in it."""
    assert bool(beyond([one], projection=SEARCH, window=WINDOW)) is is_beyond


def test_locate_tells_lines_before_clocks():
    """A collector that was out of reach is the reason, however far a clock is off."""
    case = replace(open_case("locate", source=DARK), handover={"clocks": CLOCK}, pictures=False)
    (found,) = [f for f in locate(case).verdict.findings if f.check == "locate.traces"]
    assert "the collector was out of reach: start it" in found.says
    assert CLOCK not in found.says


@pytest.mark.parametrize(
    ("source", "ahead_s", "is_told"),
    [(LIT, 7200.0, True), (LIT, 31.0, False), (DARK, 7200.0, False)],
    ids=["beyond the window", "within it", "lines tell why"],
)
def test_preflight_blames_a_clock_only_where_it_can_be_the_reason(source, ahead_s, is_told):
    """Both findings of missing traces say the same, and the clock comes with what to do."""
    case = open_case("preflight", source=source)
    longer = replace(
        case.window, start=case.window.end - 10 * (case.window.end - case.window.start)
    )
    case = replace(case, window=longer)
    look = replace(look_at(case), traces=NO_SPANS, apart=(clock(ahead_s, SEARCH),))
    says = {f.check: f.says for f in preflight_findings(case, look)}
    for check in ("preflight.traces", "preflight.tracing"):
        assert ("w is " in says[check] and "Set that clock" in says[check]) is is_told


@pytest.mark.parametrize(("source", "is_told"), [(LIT, True), (DARK, False)])
def test_a_leg_tells_of_clocks_where_lines_tell_nothing(source, is_told):
    """As the other stages do."""
    case = open_case("explain", source=source)
    legs = legs_of(
        case,
        metrics=case.pull_metrics("processed"),
        spans=NO_SPANS,
        lines=case.pull("lines"),
        rows=case.pull("rows"),
        clocks=CLOCK,
    )
    (traces,) = [leg.missing for leg in legs if leg.signal == "traces"]
    assert (CLOCK in traces and "Set that clock" in traces) is is_told
