"""Six events, or two signals: what may be named, how surely, and which leg was missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loomtriage.analysis.causes.conclusion import Conclusion
from loomtriage.case import open_case
from loomtriage.model import State
from loomtriage.stages.conclude import conclude, may_be_named
from loomtriage.stages.legs import Leg, leg_findings, legs_of, unsound
from loomtriage.stages.narrowing import measure_case
from tests.analysis.causes.test_causes import QUIET
from tests.make import span, spans

TWO, ONE = ("metrics", "logs"), ("metrics",)


def fired(weight: float, legs: tuple[str, ...]) -> Conclusion:
    return Conclusion(cause="es_429", because=("x",), weight=weight, strong=weight >= 6, legs=legs)


@pytest.fixture(scope="module")
def placebo():
    case = open_case("explain", source="example:placebo")
    return case, measure_case(case)


@pytest.mark.parametrize(
    ("weight", "legs", "compared", "expected"),
    [
        (60, TWO, True, ("es_429", 0.9, False)),
        (60, ONE, True, ("es_429", 0.6, False)),
        (60, TWO, False, ("es_429", 0.6, False)),
        (5, TWO, True, ("es_429", 0.6, True)),
        (5, TWO, False, ("es_429", 0.4, True)),
        (5, ONE, True, ("unknown", 0.0, False)),
    ],
)
def test_the_floor_and_what_lies_below_it(placebo, weight, legs, compared, expected):
    """Six rows carry a cause; fewer need a second signal; one signal alone is no name."""
    case, found = placebo
    case = case if compared else replace(case, baseline=None)
    answer = conclude(case, found, QUIET, (fired(weight, legs),))
    assert (answer["cause"], answer["confidence"], answer["thin"]) == expected


def test_an_abstention_says_suspicion_number_and_the_only_signal(placebo):
    """What was seen is not swallowed, and neither is the leg that was missing."""
    case, found = placebo
    legs = (Leg(signal="logs", missing="timeout"),)
    answer = conclude(case, found, QUIET, (fired(1, ONE),), legs=legs)
    assert answer["abstained"]
    for part in ("1 event", "only metrics", "rejects writes", "logs: timeout"):
        assert part in answer["why"]


def test_a_second_cause_below_the_floor_is_not_named_beside_the_first(placebo):
    """`also` obeys the same rule as the answer."""
    case, found = placebo
    second = replace(fired(1, ONE), cause="stuck_reclaim")
    assert conclude(case, found, QUIET, (fired(60, TWO), second))["also"] == []
    both = (fired(60, TWO), replace(second, weight=9.0, strong=True))
    assert conclude(case, found, QUIET, both)["also"] == ["stuck_reclaim"]
    assert not may_be_named(second)


def test_a_log_that_ends_early_is_no_health(placebo):
    """Quiet metrics beside a silent log are a doubt, and the file is named."""
    case, found = placebo
    answer = conclude(case, found, replace(QUIET, mute=("worker.log",)), ())
    assert answer["cause"] == "unknown"
    assert "worker.log ends early" in answer["why"]


def test_legs_say_what_is_in_them(placebo):
    """Empty claims alone, spans outside the window, and caveats of the evidence as a whole."""
    case, found = placebo
    spoilt = replace(case, evidence=replace(case.evidence, caveats=("foreign: 2 of 3 rows",)))
    claims = replace(
        case.pull("spans"),
        data=spans(span("t", "c", "outbox.claim_batch", attributes={"claimed": 0})),
    )
    pulled = {"metrics": found.frame, "lines": case.pull("lines"), "rows": case.pull("rows")}
    legs = legs_of(spoilt, spans=claims, **pulled)
    (traces,) = [leg for leg in legs if leg.signal == "traces"]
    assert traces.missing == "only claims were traced, 1 of 1 of them empty"
    assert traces.contaminated[0].startswith("foreign")
    assert traces.contaminated[1].endswith("outside the window")
    assert [f.state for f in leg_findings(legs)] == [State.WARN]
    assert unsound(legs_of(case, spans=case.pull("spans"), **pulled)) == ()
