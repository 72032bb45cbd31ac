"""Explain: do the log lines prove a cause, and which one?"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from loomtriage.analysis import causes
from loomtriage.analysis.causes import Conclusion
from loomtriage.analysis.facts import Facts, gather
from loomtriage.analysis.joins import Coverage, log_to_row, trace_to_log
from loomtriage.analysis.templates import Template, attention, compare
from loomtriage.case import Case
from loomtriage.contract.causes import BY_ID, Cause
from loomtriage.contract.keys import read_key
from loomtriage.model import Evidence, Finding, Frame, State, judge
from loomtriage.model.window import iso
from loomtriage.stages.conclude import conclude
from loomtriage.stages.explain_show import (
    because_table,
    lines_table,
    templates_table,
    timeline_chart,
)
from loomtriage.stages.locate import in_scope
from loomtriage.stages.narrowing import Narrowing, measure_case
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
    narrowing = measure_case(case)
    spans, lines, rows = case.pull("spans"), case.pull("lines"), case.pull("rows")
    told = lines_in_scope(lines.data, case)
    now = [t in case.window for t in told["ts"]]
    window = told[now] if now else told
    before = told[[not inside for inside in now]] if now else told
    ratio = narrowing.exposure.ratio if narrowing.exposure else 1.0
    templates = compare(window, before, exposure=ratio)
    scoped = in_scope(spans.data, case)
    inside = scoped if len(scoped) else None
    facts = gather(
        narrowing.increases if len(narrowing.frame) else None,
        inside,
        window if len(lines) else None,
        exposure=ratio if case.baseline else 1.0,
        stuck=max(
            (m.peak for m in narrowing.moves if m.metric == "stuck" and m.moved), default=0.0
        ),
    )
    fired = causes.decide(facts)
    picked = proving_lines(window, templates, case)
    cover = (
        trace_to_log(scoped, window),
        log_to_row(
            window[window["level"].isin(("WARNING", "ERROR"))] if len(window) else window, rows.data
        ),
    )
    conclusion = conclude(case, narrowing, facts, fired)
    findings = [
        *check_safely(
            "explain.cause", lambda: (_cause(case, narrowing, facts, fired, conclusion),)
        ),
        *check_safely("explain.lines", lambda: (_lines(case, lines, picked, named=bool(fired)),)),
        *check_safely("explain.coverage", lambda: _coverage(cover)),
    ]
    verdict = judge(findings, headline=str(conclusion["headline"]))
    first = picked[0] if picked else None
    result = StageResult(
        stage="explain",
        verdict=verdict,
        charts=timeline_chart(case, picked),
        tables=(because_table(fired), templates_table(templates), lines_table(picked)),
        caveats=caveats_of(lines, rows, spans),
        handover={
            "cause": conclusion["cause"],
            "scope": conclusion["scope"],
            "first_error_line": iso(first["ts"]) if first is not None else "",
            "correlation_ids": sorted(
                {read_key("correlation_id", r["fields"]) for r in picked} - {""}
            ),
            "outbox_event_ids": sorted(
                {read_key("outbox_event_id", r["fields"]) for r in picked} - {""}
            ),
        },
        conclusion={
            **conclusion,
            "coverage": {c.edge: {"resolved": c.resolved, "n": c.n} for c in cover},
        },
        source=case.source,
    )
    return finish(case, result)


def lines_in_scope(lines: pd.DataFrame, case: Case) -> pd.DataFrame:
    """Lines that do not name another env or projection than the scope's; most name none."""
    wanted = {k: v for k in ("env", "projection") if (v := getattr(case.scope, k))}
    if not wanted or lines.empty:
        return lines
    return lines[
        [all(read_key(k, f) in ("", v) for k, v in wanted.items()) for f in lines["fields"]]
    ]


def proving_lines(
    lines: pd.DataFrame, templates: tuple[Template, ...], case: Case
) -> list[pd.Series]:
    """Up to three lines of surprising templates that ask for attention, traced ones first."""
    failing = set(map(str, _listed(case, "failing_trace_ids")))
    picked: list[pd.Series] = []
    asking = [t for t in templates if attention(t) and t.passes and t.g2 >= 0]
    # A structured event of our own pipeline proves more than any library's complaint.
    for template in sorted(asking, key=lambda t: not lines.iloc[t.rows[0]]["event"]):
        rows = [lines.iloc[i] for i in template.rows]
        picked += sorted(rows, key=lambda row: row["trace_id"] not in failing)[:1]
    return picked[:EXAMPLE_LINES]


def _cause(
    case: Case,
    narrowing: Narrowing,
    facts: Facts,
    fired: tuple[Conclusion, ...],
    conclusion: Mapping[str, object],
) -> Finding:
    cause: Cause = BY_ID[str(conclusion["cause"])]
    if cause.id == "none":
        says = f"{cause.says} {_processed_says(facts)}"
        return Finding(
            check="explain.cause", state=State.OK, says=says, scope=case.scope, n=_n(facts)
        )
    if cause.id == "unknown":
        state = State.WARN if facts.processed is not None and narrowing.patterns else State.NO_DATA
        return Finding(
            check="explain.cause",
            state=state,
            says=f"No rule names a cause: {conclusion['why']}. {cause.do}",
            scope=case.scope,
            n=_n(facts),
        )
    return Finding(
        check="explain.cause",
        state=State.BAD,
        says=f"{cause.says} {'; '.join(fired[0].because)}.",
        value=fired[0].weight,
        unit="events explained",
        scope=case.scope,
        n=_n(facts),
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
    evidence = tuple(
        Evidence(
            kind="log_line",
            ref=f"sha256:{row['sha256']}",
            says=f"{row['file']}:{row['line']} {row['level']} {row['event'] or row['message']}"[
                :300
            ],
        )
        for row in picked
    )
    kinds = "1 kind of line" if len(picked) == 1 else f"{len(picked)} kinds of line"
    proves = "proves" if len(picked) == 1 else "prove"
    verb = f"{proves} it" if named else "rose, and no rule needs it"
    says = f"{kinds} {verb}, first: {picked[0]['event'] or picked[0]['message']}"
    return Finding(
        check="explain.lines",
        state=State.BAD if named else State.WARN,
        says=says[:300],
        value=float(len(picked)),
        unit="templates",
        n=len(lines),
        scope=case.scope,
        evidence=evidence,
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
