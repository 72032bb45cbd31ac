"""Conclude: which cause is named, how sure, and when the answer is `unknown`?

Six independent events are the floor of what counts may carry alone (a row counts once, however
often it was tried). Below it a cause is named only when a second signal says the same of its own
accord, then as a warning with a confidence of at most 0.6; otherwise the answer is `unknown`,
abstained, with the suspicion and the number of events as the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from loomtriage.analysis.causes.conclusion import Conclusion
from loomtriage.analysis.causes.facts import Facts, unknown_reasons
from loomtriage.analysis.causes.reasons import Blame
from loomtriage.analysis.surprise import FLOOR_EVENTS
from loomtriage.case import Case
from loomtriage.contract.causes import BY_ID
from loomtriage.model import Scope
from loomtriage.stages.legs import Leg, unsound
from loomtriage.stages.narrowing import Narrowing

CONFIDENT, PLAUSIBLE, THIN = 0.9, 0.6, 0.4
"""Ordinal confidence of one leg; the conclusion has that of its weakest leg."""
SHOWN = 3
HIDDEN_WITHOUT = {
    "metrics": "no failing attempt is counted",
    "traces": "no slower step and no other version of the rule is seen",
    "logs": "no error beside the counters and no other version of the rule is seen",
}
"""What could be wrong unseen while everything else is quiet, by the signal that is missing."""
AGREEING = 2
"""Signals that must say the same where counts alone are too few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the rules come to.

    Attributes:
        cause: id from `contract.causes`.
        why: why the answer is `unknown`, else empty.
        confidence: 0 to 1.
        named: the conclusions that may be named, the answer first.
    """

    cause: str
    why: str
    confidence: float
    named: tuple[Conclusion, ...] = ()


def conclude(  # noqa: PLR0913  (what is concluded from, each a part of its own)
    case: Case,
    narrowing: Narrowing,
    facts: Facts,
    fired: tuple[Conclusion, ...],
    *,
    legs: tuple[Leg, ...] = (),
    broken: tuple[str, ...] = (),
) -> Mapping[str, object]:
    """Cause, confidence and abstention from what fired; `unknown` is the default.

    `none` needs all signals, metrics that cover both windows and show work, and no rule among
    `broken`: missing data is never healthy.
    """
    answer = _answer(case, narrowing, facts, fired)
    if answer.cause == "none" and broken:
        answer = Answer(cause="unknown", why=f"{', '.join(broken)} broke", confidence=0.0)
    cause = BY_ID[answer.cause]
    top = answer.named[0] if answer.named else None
    weak = unsound(legs)
    scope = refined_scope(case.scope, facts, answer.named)
    headline = f"{cause.title[0].upper()}{cause.title[1:]}"
    where = _where(scope) if top and not top.aside else ""
    if where or answer.why:
        headline += f": {where or answer.why}"
    if beside := [BY_ID[c.cause].title for c in answer.named[1:]]:
        headline += f"; beside it: {' and '.join(beside)}"
    return {
        "cause": cause.id,
        "headline": headline,
        "abstained": bool(answer.why),
        "why": "; ".join((answer.why, *(() if fired else _blind(facts)), *weak))
        if answer.why
        else "",
        "confidence": answer.confidence,
        "thin": top is not None and not top.strong,
        "also": [c.cause for c in answer.named[1:]],
        "because": list(top.because) if top else [],
        "rejected": list(top.rejected) if top else [],
        "legs": list(weak),
        "scope": scope.as_json(),
        "action": {"kind": cause.action.value, "says": cause.do},
    }


def may_be_named(conclusion: Conclusion) -> bool:
    """Whether counts carry it, or two signals agree."""
    return conclusion.strong or len(conclusion.legs) >= AGREEING


def _answer(
    case: Case, narrowing: Narrowing, facts: Facts, fired: tuple[Conclusion, ...]
) -> Answer:
    named = tuple(c for c in fired if may_be_named(c))
    gone = _missing_legs(facts)
    if named:
        sure = _confidence(named[0], gone, compared=case.baseline is not None)
        return Answer(cause=named[0].cause, why="", confidence=sure, named=named)
    if fired:
        return Answer(cause="unknown", why=_too_thin(fired[0]), confidence=0.0)
    if _nothing_moved(narrowing, facts) and not _doubt(case, narrowing, facts):
        return Answer(cause="none", why="", confidence=CONFIDENT)
    return Answer(cause="unknown", why=_why_unknown(case, narrowing, facts), confidence=0.0)


def _too_thin(top: Conclusion) -> str:
    events = f"{top.weight:.0f} event" + ("" if round(top.weight) == 1 else "s")
    only = " and ".join(top.legs) or "nothing"
    return f"not enough evidence: {events}, and only {only} would say {BY_ID[top.cause].title}"


def _missing_legs(facts: Facts) -> tuple[str, ...]:
    legs = {
        "metrics": facts.processed is not None,
        "traces": bool(facts.traces),
        "logs": bool(facts.lines),
    }
    return tuple(name for name, there in legs.items() if not there)


def _confidence(top: Conclusion, gone: tuple[str, ...], *, compared: bool) -> float:
    agrees = len(top.legs) >= AGREEING
    if top.strong:
        return CONFIDENT if agrees and compared and not gone else PLAUSIBLE
    # The collector is the one whose leg is missing by its own doing.
    lost = [leg for leg in gone if leg not in top.legs]
    return PLAUSIBLE if compared and not lost else THIN


def _nothing_moved(narrowing: Narrowing, facts: Facts) -> bool:
    if narrowing.exposure is None or facts.processed is None:
        return False
    worked = min(facts.processed[0], facts.processed[1] or 0.0) > 0
    quiet = not narrowing.patterns and not narrowing.weak.size
    return worked and quiet and not any(m.moved for m in narrowing.moves) and not facts.blames


def _doubt(case: Case, narrowing: Narrowing, facts: Facts) -> str:
    """Why quiet metrics do not mean health, empty when they do."""
    if any(text.startswith("stale") for text in narrowing.frame.caveats):
        return "the metrics end before the window does"
    if any(text.startswith(("partial", "truncated")) for text in narrowing.frame.caveats):
        return "the metrics are incomplete"
    if not narrowing.watched:
        return "no worker was watched through both windows"
    if narrowing.failing >= FLOOR_EVENTS:
        return f"{narrowing.failing:.0f} rows failed, as many as in the baseline"
    if case.handover.get("step"):
        return "traces show a failing step, though the metrics are quiet"
    if facts.skewed:
        return f"clocks disagree: {'; '.join(map(str, facts.skewed[:SHOWN]))}{_mute(facts)}"
    if gone := _missing_legs(facts):
        hidden = "; ".join(f"without {name} {HIDDEN_WITHOUT[name]}" for name in gone)
        return f"the metrics are quiet, but {hidden}"
    if facts.mute:
        return f"{', '.join(facts.mute)[:120]} ends early, though work went on"
    if facts.spans_stopped:
        return f"no span in the last {facts.quiet.seconds:.0f} s, and no exporter complains"
    return ""


def _mute(facts: Facts) -> str:
    """Files whose lines end early, which a clock that is off brings about, too."""
    return f"; {', '.join(facts.mute)[:120]} ends early, though work went on" if facts.mute else ""


def _why_unknown(case: Case, narrowing: Narrowing, facts: Facts) -> str:
    if facts.processed is None:
        return "metrics are missing and no rule fits what logs and traces say"
    if unknown_reasons(facts):
        return f"reason {', '.join(unknown_reasons(facts))} is not in the contract"
    if narrowing.exposure is None:
        return "there is no baseline to compare with"
    if facts.processed[0] + facts.processed[1] <= 0 and not facts.blames:
        return "no work was done in the windows"
    if narrowing.patterns or any(m.moved for m in narrowing.moves):
        return f"something moved that no rule explains{_slower(case)}"
    return _doubt(case, narrowing, facts) or "not enough evidence"


def _slower(case: Case) -> str:
    """The step that traces found slower, where no failure tells why."""
    step = case.handover.get("slow_step")
    named = step.get("operation") if isinstance(step, dict) else ""
    return f"; {named} is slower, and no failure says why" if named else ""


def _blind(facts: Facts) -> tuple[str, ...]:
    """Causes that the evidence could not have shown."""
    version = "no span or line names the projection's version"
    return () if any(facts.versions.values()) else (version,)


def refined_scope(scope: Scope, facts: Facts, named: tuple[Conclusion, ...]) -> Scope:
    """The scope, narrowed by what only the whole evidence tells.

    `es_4xx` becomes what the HTTP status says it is; an open projection becomes the only one in
    which the counters of the named causes rose.
    """
    counters = [counter for conclusion in named for counter in conclusion.explains]
    places = {place for counter in counters for place in facts.places.get(counter, ())}
    if not scope.projection and len(places) == 1:
        scope = replace(scope, projection=places.pop())
    if facts.processed is None and counters:
        scope = _told_scope(scope, facts.blamed(*counters))
    told = {blame.reason for blame in facts.blames} & {"mapping_conflict", "es_write_blocked"}
    if scope.reason == "es_4xx" and len(told) == 1:
        return replace(scope, reason=told.pop())
    return scope


def _told_scope(scope: Scope, blames: tuple[Blame, ...]) -> Scope:
    """Without counters nothing was narrowed: what lines and spans told of the first blame."""
    if not blames:
        return scope
    first = blames[0]
    only = first.projections[0] if len(first.projections) == 1 else ""
    return replace(
        scope,
        reason=scope.reason or first.reason,
        result=scope.result or first.result,
        projection=scope.projection or only,
    )


def _where(scope: Scope) -> str:
    """The scope in words, short enough for a headline."""
    parts = [
        f"{scope.op} {scope.result}".strip(),
        f"with {scope.reason}" if scope.reason else "",
        f"on {scope.projection}" if scope.projection else "",
        f"in {scope.env}" if scope.env else "",
    ]
    return " ".join(part for part in parts if part)
