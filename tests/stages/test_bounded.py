"""Never OK from a damaged source: one function bounds what every stage says of its frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import pytest

from loomtriage.case import open_case
from loomtriage.model import Finding, Signal, State
from loomtriage.sources import Source
from loomtriage.stages import PATH, STAGES
from loomtriage.stages.result import bounded, check_safely
from tests.make import column, metrics

FRAME = metrics({column("processed"): [1.0]})
OK = Finding(check="x", state=State.OK, says="All is well.")
DAMAGES = ["truncated", "partial", "stale", "contaminated", "foreign"]
LIVES_ON = {
    "preflight": {
        "metrics": ("preflight.metrics", "preflight.samples", "preflight.work"),
        "traces": ("preflight.traces", "preflight.tracing"),
        "logs": ("preflight.logs",),
        "rows": ("preflight.rows",),
    },
    "narrow": {"metrics": ("narrow.pattern", "narrow.gauge.lag")},
    "locate": {"traces": ("locate.step", "locate.slow_step")},
    "explain": {
        "traces": ("explain.cause",),
        "logs": ("explain.cause", "explain.lines"),
        "rows": ("explain.cause",),
    },
}
"""Checks that are OK in peace, by stage and by the signal that they judge by."""
CASES = [(s, n, c) for s, of in LIVES_ON.items() for n, checks in of.items() for c in checks]


@dataclass(frozen=True)
class Damaged:
    """A source whose every answer has one more caveat."""

    source: Source
    caveat: str

    def pull(self, question):
        return self.source.pull(question).with_caveat(self.caveat)


@cache
def judged(stage, signal, caveat):
    """The findings of a stage on the placebo, one signal of it with that caveat."""
    case = open_case(stage, source="example:placebo")
    sources = case.evidence.sources
    damaged = replace(sources, **{signal: Damaged(sources.get(Signal(signal)), caveat)})
    case = replace(case, evidence=replace(case.evidence, sources=damaged), pictures=False)
    return {f.check: f for f in STAGES.get(stage, noun="stage")(case).verdict.findings}


@pytest.mark.parametrize("word", DAMAGES)
def test_ok_by_a_damaged_frame_is_a_warning_that_says_why(word):
    """Each word by which a frame is less, or other, than what was asked for."""
    (found,) = bounded((OK,), FRAME.with_caveat(f"{word}: half of it is gone."))
    assert found.state is State.WARN
    assert found.says == f"All is well. By what was seen only: {word}: half of it is gone."


def test_a_coarse_frame_is_said_and_may_be_ok():
    """Thinned samples are all there, seen from afar."""
    (found,) = bounded((OK,), FRAME.with_caveat("thinned: one value every 60 s."))
    assert (found.state, "one value every 60 s" in found.says) == (State.OK, True)


@pytest.mark.parametrize("caveat", ["", "worker.log: parsed 9 bytes.", "estimated: its window."])
def test_a_whole_frame_is_not_doubted(caveat):
    """Control: what is no damage changes nothing."""
    assert bounded((OK,), FRAME.with_caveat(caveat)) == (OK,)


@pytest.mark.parametrize("state", [s for s in State if s is not State.OK])
def test_what_is_not_ok_stays_what_it_is(state):
    """Damage excuses no fault and hides no gap."""
    finding = replace(OK, state=state)
    assert bounded((finding,), FRAME.with_caveat("partial: x.")) == (finding,)


def test_a_check_that_throws_on_a_damaged_frame_is_an_error():
    """Broken comes before bounded."""
    (found,) = check_safely("x", lambda: (1 / 0,), FRAME.with_caveat("partial: x."))
    assert found.state is State.ERROR


@pytest.mark.parametrize(("stage", "signal", "check"), CASES)
def test_no_stage_says_ok_by_half_a_frame(stage, signal, check):
    """On a recording of a healthy system, with one signal cut short."""
    assert judged(stage, signal, "worker.log: odd lines.")[check].state is State.OK
    found = judged(stage, signal, "partial: the other half did not answer.")[check]
    assert found.state is not State.OK
    assert "not answer" in found.says or found.state is State.NO_DATA


def test_every_stage_of_the_path_is_asked():
    """A stage that is added is added here."""
    assert set(LIVES_ON) <= set(PATH)
