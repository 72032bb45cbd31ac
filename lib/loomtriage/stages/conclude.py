"""Conclude: which cause is named, how sure, and when the answer is `unknown`?"""

from __future__ import annotations

from dataclasses import replace

from loomtriage.analysis.causes import Conclusion
from loomtriage.analysis.facts import Facts, unknown_reasons
from loomtriage.analysis.surprise import FLOOR_EVENTS
from loomtriage.case import Case
from loomtriage.contract.causes import BY_ID
from loomtriage.model import Scope
from loomtriage.stages.narrowing import Narrowing

CONFIDENT, PLAUSIBLE, THIN = 0.9, 0.6, 0.4
"""Ordinal confidence of one leg; the conclusion has that of its weakest leg."""


def conclude(
    case: Case, narrowing: Narrowing, facts: Facts, fired: tuple[Conclusion, ...]
) -> dict[str, object]:
    """Cause, confidence and abstention from what fired; `unknown` is the default.

    `none` needs metrics that cover both windows and show work: missing data is never healthy.
    """
    gone = _missing_legs(facts)
    if fired:
        top = fired[0]
        cause, why = BY_ID[top.cause], ""
        confidence = _confidence(facts, top, gone)
    elif _nothing_moved(narrowing, facts) and not _doubt(case, narrowing):
        cause, why, confidence = BY_ID["none"], "", PLAUSIBLE if gone else CONFIDENT
    else:
        cause, confidence = BY_ID["unknown"], 0.0
        why = _why_unknown(case, narrowing, facts)
    headline = f"{cause.title[0].upper()}{cause.title[1:]}"
    scope = refined_scope(case.scope, facts)
    where = _where(scope)
    if cause.id not in ("none", "unknown") and where:
        headline += f": {where}"
    elif why:
        headline += f": {why}"
    return {
        "cause": cause.id,
        "headline": headline,
        "abstained": bool(why),
        "why": why,
        "confidence": confidence,
        "also": [c.cause for c in fired[1:]],
        "because": list(fired[0].because) if fired else [],
        "rejected": list(fired[0].rejected) if fired else [],
        "scope": scope.as_json(),
        "action": {"kind": cause.action.value, "says": cause.do},
    }


def _missing_legs(facts: Facts) -> tuple[str, ...]:
    legs = {
        "metrics": facts.processed is not None,
        "traces": bool(facts.traces),
        "logs": bool(facts.lines),
    }
    return tuple(name for name, there in legs.items() if not there)


def _confidence(facts: Facts, top: Conclusion, gone: tuple[str, ...]) -> float:
    legs = [CONFIDENT if top.strong else THIN]
    agrees = bool(facts.statuses or facts.without_status or facts.error_classes)
    legs.append(CONFIDENT if agrees else PLAUSIBLE)
    legs += [PLAUSIBLE for _ in gone]
    if not top.strong and agrees and not gone:
        legs[0] = PLAUSIBLE
    return min(legs)


def _nothing_moved(narrowing: Narrowing, facts: Facts) -> bool:
    if narrowing.exposure is None or facts.processed is None:
        return False
    worked = min(facts.processed[0], facts.processed[1] or 0.0) > 0
    quiet = not narrowing.patterns and not narrowing.weak.size
    return worked and quiet and not any(m.moved for m in narrowing.moves) and not facts.blames


def _doubt(case: Case, narrowing: Narrowing) -> str:
    """Why quiet metrics do not mean health, empty when they do."""
    if any(text.startswith("stale") for text in narrowing.frame.caveats):
        return "the metrics end before the window does"
    if any(text.startswith(("partial", "truncated")) for text in narrowing.frame.caveats):
        return "the metrics are incomplete"
    if not narrowing.watched:
        return "no worker was watched through both windows"
    if narrowing.failing >= FLOOR_EVENTS:
        return f"{narrowing.failing:.0f} attempts failed, as many as in the baseline"
    if case.handover.get("step"):
        return "traces show a failing step, though the metrics are quiet"
    return ""


def _why_unknown(case: Case, narrowing: Narrowing, facts: Facts) -> str:
    if facts.processed is None:
        return "metrics are missing and no rule fits what logs and traces say"
    if narrowing.exposure is None:
        return "there is no baseline to compare with"
    if facts.processed[0] + facts.processed[1] <= 0 and not facts.blames:
        return "no work was done in the windows"
    if unknown_reasons(facts):
        return f"reason {', '.join(unknown_reasons(facts))} is not in the contract"
    if narrowing.patterns or any(m.moved for m in narrowing.moves):
        return "something moved that no rule explains"
    return _doubt(case, narrowing) or "not enough evidence"


def refined_scope(scope: Scope, facts: Facts) -> Scope:
    """The scope with `es_4xx` replaced by what the HTTP status says it is, where one is known."""
    named = {blame.reason for blame in facts.blames} & {"mapping_conflict", "es_write_blocked"}
    if scope.reason == "es_4xx" and len(named) == 1:
        return replace(scope, reason=named.pop())
    return scope


def _where(scope: Scope) -> str:
    """The scope in words, short enough for a headline."""
    parts = [
        f"{scope.op} {scope.result}".strip(),
        f"with {scope.reason}" if scope.reason else "",
        f"on {scope.projection}" if scope.projection else "",
        f"in {scope.env}" if scope.env else "",
    ]
    return " ".join(part for part in parts if part)
