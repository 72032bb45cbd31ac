"""Conclude: which cause is named, how sure, and when the answer is `unknown`?

Six independent events are the floor of what counts may carry alone (a row counts once, however
often it was tried). Below it a cause is named only when a second signal says the same of its own
accord, then as a warning with a confidence of at most 0.6; otherwise the answer is `unknown`,
abstained, with the suspicion and the number of events as the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from loomtriage.analysis.apart import told_far
from loomtriage.analysis.causes.conclusion import Conclusion
from loomtriage.analysis.causes.facts import Facts, unknown_reasons
from loomtriage.analysis.causes.reasons import Blame
from loomtriage.analysis.surprise import FLOOR_EVENTS
from loomtriage.case import Case
from loomtriage.contract.causes import BY_ID
from loomtriage.contract.doubts import Doubt
from loomtriage.contract.spans import ES_METHODS
from loomtriage.model import Scope
from loomtriage.stages.legs import Leg, unsound
from loomtriage.stages.narrowing import Narrowing

CONFIDENT, PLAUSIBLE, THIN = 0.9, 0.6, 0.4
"""Ordinal confidence of one leg; the conclusion has that of its weakest leg."""
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
        doubts: what was observed beside an unknown cause, all of it told in `why`.
    """

    cause: str
    why: str
    confidence: float
    named: tuple[Conclusion, ...] = ()
    doubts: tuple[Doubt, ...] = ()


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
    scope = refined_scope(case.scope, facts, answer.named, answer.doubts)
    headline = f"{cause.title[0].upper()}{cause.title[1:]}"
    where = _where(scope) if top and not top.aside else ""
    if where or answer.why:
        headline += f": {where or answer.why}"
    if beside := [BY_ID[c.cause].title for c in answer.named[1:]]:
        headline += f"; beside it: {' and '.join(beside)}"
    if top and facts.crashes:
        headline += f"; {facts.crashes[0]}"
    thin = bool(answer.named) and not any(c.strong for c in answer.named)
    if top and thin:
        headline += f" (few events: a warning, as {_listed(top.legs)} agree)"
    return {
        "cause": cause.id,
        "headline": headline,
        "abstained": bool(answer.why),
        "doubts": [str(doubt) for doubt in answer.doubts],
        "why": "; ".join((answer.why, *(() if fired or answer.doubts else _blind(facts)), *weak))
        if answer.why
        else "",
        "confidence": answer.confidence,
        "thin": thin,
        "also": [c.cause for c in answer.named[1:]],
        "because": list(top.because) if top else [],
        "rejected": list(top.rejected) if top else [],
        "legs": list(weak),
        "scope": scope.as_json(),
        "action": {"kind": cause.action.value, "says": f"{_first_look(case, answer)}{cause.do}"},
    }


def _first_look(case: Case, answer: Answer) -> str:
    """Where to look first under an unknown cause: what answers the step that is slower."""
    step = case.handover.get("slow_step")
    if Doubt.SLOWER_STEP not in answer.doubts or not isinstance(step, dict):
        return ""
    name = str(step.get("operation", ""))
    server = "Elasticsearch, which answers it: its load, heap and slow log"
    place = server if name in ES_METHODS else f"what it does in {step.get('service')}"
    return f"{name} takes the time: look first at {place}. "


def _listed(legs: tuple[str, ...]) -> str:
    return " and ".join((", ".join(legs[:-1]), legs[-1]) if len(legs) > 1 else legs)


def nameable(fired: tuple[Conclusion, ...]) -> tuple[Conclusion, ...]:
    """Those that may be named; lost spans come last, since they alone harm nothing."""
    named = filter(may_be_named, fired)
    return tuple(sorted(named, key=lambda conclusion: conclusion.cause == "collector_down"))


def may_be_named(conclusion: Conclusion) -> bool:
    """Whether counts carry it, or two signals agree."""
    return conclusion.strong or len(conclusion.legs) >= AGREEING


def _answer(
    case: Case, narrowing: Narrowing, facts: Facts, fired: tuple[Conclusion, ...]
) -> Answer:
    named = nameable(fired)
    gone = _missing_legs(facts)
    if named:
        sure = _confidence(named[0], gone, compared=case.baseline is not None)
        return Answer(cause=named[0].cause, why="", confidence=sure, named=named)
    is_quiet = _nothing_moved(narrowing, facts)
    # A step that takes longer keeps the spans above it back.
    seen = _observed(facts) | (_stopped(facts) if is_quiet else _slower(case))
    if is_quiet and not fired and not seen and not _limit(case, narrowing, facts):
        return Answer(cause="none", why="", confidence=CONFIDENT)
    first = _too_thin(fired[0]) if fired else _why_unknown(case, narrowing, facts)
    why = "; ".join(text for text in (first, *seen.values()) if text) or "not enough evidence"
    return Answer(cause="unknown", why=why, confidence=0.0, doubts=tuple(seen))


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


def _observed(facts: Facts) -> dict[Doubt, str]:
    """What speaks against health beside the counters, each in words."""
    found = {}
    if facts.skewed:
        found[Doubt.CLOCKS] = f"clocks disagree: {told_far(facts.apart)}"
    if facts.mute:
        files = ", ".join(facts.mute)[:120]
        found[Doubt.SILENT_LOG] = f"{files} ends early, though work went on"
    if facts.crashes:
        found[Doubt.CRASH] = facts.crashes[0]
    return found


def _stopped(facts: Facts) -> dict[Doubt, str]:
    """Spans that stopped; those of a clock that is off go on outside the window."""
    if not facts.spans_stopped or facts.skewed:
        return {}
    quiet = f"no span in the last {facts.quiet.seconds:.0f} s, and no exporter complains"
    return {Doubt.SILENT_SPANS: quiet}


def _limit(case: Case, narrowing: Narrowing, facts: Facts) -> str:
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
    gone = _missing_legs(facts)
    if gone and not facts.skewed:
        hidden = "; ".join(f"without {name} {HIDDEN_WITHOUT[name]}" for name in gone)
        return f"the metrics are quiet, but {hidden}"
    return ""


def _why_unknown(case: Case, narrowing: Narrowing, facts: Facts) -> str:
    """Why no cause can be named, beside what was observed; empty where only that speaks."""
    if facts.processed is None:
        return "metrics are missing and no rule fits what logs and traces say"
    if unknown_reasons(facts):
        return f"reason {', '.join(unknown_reasons(facts))} is not in the contract"
    if narrowing.exposure is None:
        return "there is no baseline to compare with"
    if facts.processed[0] + facts.processed[1] <= 0 and not facts.blames:
        return "no work was done in the windows"
    if narrowing.patterns or any(m.moved for m in narrowing.moves):
        return "something moved that no rule explains"
    return _limit(case, narrowing, facts)


def _slower(case: Case) -> dict[Doubt, str]:
    """The step that traces found slower, where no failure tells why."""
    step = case.handover.get("slow_step")
    named = step.get("operation") if isinstance(step, dict) else ""
    return {Doubt.SLOWER_STEP: f"{named} is slower, and no failure says why"} if named else {}


def _blind(facts: Facts) -> tuple[str, ...]:
    """Causes that the evidence could not have shown."""
    version = "no span or line names the projection's version"
    return () if any(facts.versions.values()) else (version,)


def refined_scope(
    scope: Scope,
    facts: Facts,
    named: tuple[Conclusion, ...],
    doubts: tuple[Doubt, ...] = (),
) -> Scope:
    """The scope, narrowed by what only the whole evidence tells.

    `es_4xx` becomes what the HTTP status says it is; an open projection becomes the only one in
    which the counters of the named causes rose, or whose worker is in doubt.
    """
    counters = [*(c for conclusion in named for c in conclusion.explains), *doubts]
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
