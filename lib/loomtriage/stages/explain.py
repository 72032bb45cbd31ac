"""Explain: do the log lines prove a cause, and which one?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pandas as pd

from loomtriage.analysis.apart import told_far
from loomtriage.analysis.causes import decide as causes
from loomtriage.analysis.causes.conclusion import Conclusion
from loomtriage.analysis.causes.decide import Rule
from loomtriage.analysis.causes.facts import Facts
from loomtriage.analysis.joins import Coverage
from loomtriage.analysis.surprise import FLOOR_EVENTS
from loomtriage.analysis.templates import Template, attention, compare
from loomtriage.case import Case
from loomtriage.contract.causes import BY_ID, Cause
from loomtriage.contract.keys import read_key
from loomtriage.model import Finding, Frame, State, judge
from loomtriage.model.window import iso
from loomtriage.report.text import clip
from loomtriage.stages.conclude import conclude, nameable
from loomtriage.stages.explain_show import (
    because_table,
    lines_table,
    templates_table,
    timeline_chart,
)
from loomtriage.stages.explaining import facts_of, joined, pull
from loomtriage.stages.legs import leg_findings, legs_of
from loomtriage.stages.narrowing import Narrowing
from loomtriage.stages.preflight_tracing import asked_projection, beyond
from loomtriage.stages.proofs import crashes, in_words, line_evidence, row_evidence, telling_lines
from loomtriage.stages.result import (
    StageResult,
    caveats_of,
    check_safely,
    finish,
    missing,
)

EXAMPLE_LINES = 3


def explain(case: Case) -> StageResult:
    """Pull the lines, join them with traces and rows, and let the decision list name the cause."""
    pulled = pull(case)
    narrowing, lines = pulled.narrowing, pulled.lines
    templates = compare(pulled.told, pulled.told_before, exposure=pulled.ratio)
    facts = facts_of(case, pulled)
    broken: dict[str, Finding] = {}
    fired = causes.decide(facts, ask=partial(_asked, broken))
    named = nameable(fired)
    picked = proving_lines(pulled.told, templates, case)
    proving = [*_told_anyway(named, pulled.told, picked), *picked]
    cover = joined(case, pulled)
    legs = legs_of(
        case,
        metrics=narrowing.frame,
        spans=pulled.spans,
        lines=lines,
        rows=pulled.rows,
        clocks=told_far(beyond(facts.apart, projection=asked_projection(case), window=case.window)),
    )
    conclusion = conclude(case, narrowing, facts, fired, legs=legs, broken=tuple(broken))
    findings = [
        *broken.values(),
        *check_safely(
            "explain.cause",
            lambda: (_cause(case, narrowing, facts, conclusion),),
            *(narrowing.frame, pulled.spans, lines, pulled.rows),
        ),
        *check_safely("explain.also", lambda: _also(named)),
        *check_safely("explain.claims", lambda: _claims(facts, fired)),
        *check_safely(
            "explain.lines", lambda: (_lines(case, lines, proving, named=bool(named)),), lines
        ),
        *check_safely("explain.legs", lambda: leg_findings(legs)),
        *check_safely(
            "explain.coverage", lambda: _coverage(cover), pulled.spans, lines, pulled.rows
        ),
        *check_safely("explain.crash", lambda: crashes(case, pulled.told)),
    ]
    result = StageResult(
        stage="explain",
        verdict=judge(findings, headline=str(conclusion["headline"])),
        charts=timeline_chart(case, picked) if case.pictures else (),
        tables=(because_table(fired), templates_table(templates), lines_table(proving)),
        caveats=caveats_of(lines, pulled.rows, pulled.spans),
        handover=_left(conclusion, picked),
        conclusion={
            **conclusion,
            "coverage": {c.edge: c.as_json() for c in cover},
        },
        source=case.source,
    )
    return finish(case, result)


def _asked(broken: dict[str, Finding], rule: Rule, facts: Facts) -> Conclusion | None:
    """One rule's answer; none from one that breaks, which becomes an ERROR in `broken`."""
    answers: list[Conclusion | None] = []

    def run() -> tuple[Finding, ...]:
        answers.append(rule(facts))
        return ()

    name = f"explain.rule.{rule.__name__}"
    broken.update((name, finding) for finding in check_safely(name, run))
    return answers[0] if answers else None


def _left(conclusion: Mapping[str, object], picked: list[pd.Series]) -> dict[str, object]:
    """What this stage hands over: the cause, its scope, and the pivots of the proving lines."""
    pivots = {
        f"{key}s": sorted({read_key(key, r["fields"]) for r in picked} - {""})
        for key in ("correlation_id", "outbox_event_id")
    }
    first = iso(min(row["ts"] for row in picked)) if picked else ""
    scope, cause = conclusion["scope"], conclusion["cause"]
    return {"cause": cause, "scope": scope, "first_error_line": first, **pivots}


def proving_lines(
    lines: pd.DataFrame, templates: tuple[Template, ...], case: Case
) -> list[pd.Series]:
    """Up to three lines of surprising templates that ask for attention, traced ones first."""
    failing = set(map(str, _listed(case, "failing_trace_ids")))
    picked: list[pd.Series] = []
    asking = [t for t in templates if attention(t) and t.passes and t.g2 >= 0 and t.rows]
    # A structured event of our own pipeline proves more than any library's complaint.
    for template in sorted(asking, key=lambda t: not lines.iloc[t.rows[0]]["event"]):
        rows = [lines.iloc[i] for i in template.rows]
        picked += sorted(rows, key=lambda row: row["trace_id"] not in failing)[:1]
    return picked[:EXAMPLE_LINES]


def _told_anyway(
    named: tuple[Conclusion, ...], lines: pd.DataFrame, picked: list[pd.Series]
) -> list[pd.Series]:
    """Lines that tell of a named cause, few as they are, and are not picked already."""
    known = {row["sha256"] for row in picked}
    told = telling_lines((c.cause for c in named), lines)
    return [row for row in told if row["sha256"] not in known]


def _cause(
    case: Case, narrowing: Narrowing, facts: Facts, conclusion: Mapping[str, object]
) -> Finding:
    cause: Cause = BY_ID[str(conclusion["cause"])]
    state, says = State.BAD, f"{cause.says} {_listed_says(conclusion)}"
    if cause.id == "none":
        state, says = State.OK, f"{cause.says} {_processed_says(facts)}"
    elif cause.id == "unknown":
        seen = facts.processed is not None and (narrowing.patterns or facts.blames)
        state = State.WARN if seen else State.NO_DATA
        says = f"No rule names a cause: {str(conclusion['why']).rstrip('.')}."
    elif conclusion["thin"]:
        state = State.WARN
    return Finding(
        check="explain.cause", state=state, says=says[:900], scope=case.scope, n=_n(facts)
    )


def _listed_says(conclusion: Mapping[str, object]) -> str:
    because, rejected = conclusion["because"], conclusion["rejected"]
    said = "; ".join(map(str, because)) if isinstance(because, list) else ""
    ruled_out = "; ".join(map(str, rejected)) if isinstance(rejected, list) else ""
    return f"{said}. Not {ruled_out}." if ruled_out else f"{said}."


def _also(named: tuple[Conclusion, ...]) -> tuple[Finding, ...]:
    """What else is wrong at the same time, once the first cause is taken away."""
    return tuple(
        Finding(
            check=f"explain.also.{other.cause}",
            state=State.BAD if other.strong else State.WARN,
            says=f"{BY_ID[other.cause].says} {'; '.join(other.because)}.",
            value=round(other.weight, 2),
            unit="events explained",
        )
        for other in named[1:]
    )


def _claims(facts: Facts, fired: tuple[Conclusion, ...]) -> tuple[Finding, ...]:
    """Rows held beyond their lease that no rule took up: no cause by themselves, and still odd."""
    if not facts.expired or any(c.cause == "stuck_reclaim" for c in fired):
        return ()
    why = f"no other signal says so, and below {FLOOR_EVENTS:.0f} that is no cause"
    if facts.owners_live:
        why = "their workers went on since then, slower than the lease allows"
    return (
        Finding(
            check="explain.claims",
            state=State.WARN,
            says=f"{facts.expired} rows in the outbox are held beyond their lease; {why}.",
            value=float(facts.expired),
            unit="rows",
            threshold=FLOOR_EVENTS,
            n=facts.expired,
        ),
    )


def _processed_says(facts: Facts) -> str:
    if facts.processed is None:
        return ""
    return f"{facts.processed[0]:.0f} rows finished, {facts.processed[1]:.0f} expected."


def _n(facts: Facts) -> int:
    return round(sum(b.observed for b in facts.blames) + (facts.processed or (0.0, 0.0))[0])


def _lines(case: Case, lines: Frame, picked: list[pd.Series], *, named: bool) -> Finding:
    if not len(lines):
        return missing("explain.lines", lines)
    if not picked:
        says = f"No surprising line asks for attention, among {len(lines)} lines."
        return Finding(
            check="explain.lines",
            state=State.OK,
            says=says,
            value=0.0,
            unit="templates",
            n=len(lines),
        )
    evidence = [line_evidence(case, row) for row in picked]
    if named and not case.handover.get("step"):  # no failing trace was shown before
        evidence += row_evidence(case, picked[0])
    kinds = "1 kind of line" if len(picked) == 1 else f"{len(picked)} kinds of line"
    proves = "proves" if len(picked) == 1 else "prove"
    verb = f"{proves} it" if named else "rose, and no rule needs it"
    says = f"{kinds} {verb}, first: {in_words(picked[0])}"
    return Finding(
        check="explain.lines",
        state=State.BAD if named else State.WARN,
        says=clip(says, 300),
        value=float(len(picked)),
        unit="templates",
        n=len(lines),
        scope=case.scope,
        evidence=tuple(evidence),
    )


def _coverage(cover: tuple[Coverage, ...]) -> tuple[Finding, ...]:
    findings = []
    for edge in cover:
        if edge.share is None:
            continue
        state = State.OK if edge.share >= 0.5 else State.WARN
        findings.append(
            Finding(
                check=f"explain.coverage.{edge.edge}",
                state=state,
                says=f"{edge.edge}: {edge.resolved} of {edge.n} resolve.",
                value=round(edge.share, 3),
                unit="share",
                threshold=0.5,
                n=edge.n,
            )
        )
    return tuple(findings)


def _listed(case: Case, key: str) -> list[object]:
    value = case.handover.get(key)
    return value if isinstance(value, list) else []
