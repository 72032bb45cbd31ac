"""Narrow: which env, projection, op, reason and result changed?"""

from __future__ import annotations

from loomtriage.analysis.counters.patterns import Pattern
from loomtriage.analysis.surprise import FLOOR_EVENTS
from loomtriage.case import Case
from loomtriage.contract import catalogue
from loomtriage.contract.reasons import is_known
from loomtriage.model import Evidence, Finding, Scope, State, Suspect, judge
from loomtriage.model.window import iso
from loomtriage.stages.links import counter, drawn, expression, graph_url, in_grafana
from loomtriage.stages.narrow_show import (
    leaves_table,
    narrow_charts,
    suspects_table,
)
from loomtriage.stages.narrowing import Narrowing, measure_case, onset, rows_in
from loomtriage.stages.result import (
    StageResult,
    caveats_of,
    check_safely,
    finish,
    longer,
    missing,
)


def narrow(case: Case) -> StageResult:
    """Rank label patterns by signed G² and hand the narrowest scope on."""
    found = measure_case(case)
    if not len(found.frame):
        finding = missing("narrow.metrics", found.frame)
        verdict = judge([finding], headline="Metrics are missing; the scope stays open.")
        result = StageResult(
            stage="narrow",
            verdict=verdict,
            charts=narrow_charts(case, found) if case.pictures else (),
            tables=(suspects_table(found), leaves_table(found)),
            caveats=caveats_of(found.frame),
            source=case.source,
        )
        return finish(case, result)
    findings = [
        *check_safely("narrow.pattern", lambda: (_pattern(case, found),), found.frame),
        *check_safely("narrow.folding", lambda: _folding(found), *found.frames),
        *check_safely("narrow.reasons", lambda: _reasons(found), found.frame),
        *check_safely("narrow.gauges", lambda: _gauges(case, found), found.frame),
        *check_safely("narrow.reclaimed", lambda: _reclaimed(found), found.frame),
    ]
    scope = case.scope.narrow(**found.scope.as_json())
    began = onset(found, case)
    result = StageResult(
        stage="narrow",
        verdict=judge(
            findings, headline=_headline(findings), suspects=[_suspect(p) for p in found.patterns]
        ),
        charts=narrow_charts(case, found) if case.pictures else (),
        tables=(suspects_table(found), leaves_table(found)),
        caveats=(*caveats_of(found.frame), *found.increases.caveats),
        handover={
            "scope": scope.as_json(),
            "exposure": found.exposure.measured_by if found.exposure else "",
            "failing_rows": round(rows_in(found, scope), 3),
            "metric_onset": iso(began) if began else "",
        },
        source=case.source,
    )
    return finish(case, result)


def _pattern(case: Case, found: Narrowing) -> Finding:
    pattern, scope = found.blamed, found.scope
    if pattern is not None:
        direction = "rose" if pattern.g2 > 0 else "fell"
        says = (
            f"{pattern} {direction}: {pattern.observed:.0f}, expected {pattern.expected:.1f} "
            f"(signed G² {pattern.g2:.0f}, gate {pattern.gate:.1f}; exposure by "
            f"{found.exposure.measured_by if found.exposure else 'nothing'})."
        )
        evidence = _seen_at(
            case,
            scope,
            what=str(pattern),
            says=f"{pattern.observed:.0f} observed, {pattern.expected:.1f} expected",
        )
        return Finding(
            check="narrow.pattern",
            state=State.WARN if pattern.better else State.BAD,
            says=says,
            value=round(pattern.g2, 2),
            unit="signed G²",
            threshold=round(pattern.gate, 2),
            n=round(pattern.observed + pattern.expected),
            scope=scope,
            evidence=evidence,
        )
    if len(found.weak):
        total = float(found.weak["observed"].sum())
        says = (
            f"{total:.0f} failing rows ({scope}), none in the baseline; fewer than "
            f"{FLOOR_EVENTS:.0f} extra events are not enough evidence by metrics alone."
        )
        evidence = _seen_at(
            case, scope, what=str(scope), says=f"{total:.0f} observed, 0 in the baseline"
        )
        return Finding(
            check="narrow.pattern",
            state=State.WARN,
            says=says,
            value=total,
            unit="events",
            threshold=FLOOR_EVENTS,
            n=round(total),
            scope=scope,
            evidence=evidence,
        )
    if found.exposure is None:
        says = f"There is no baseline to compare with. {longer(case)}"
        return Finding(check="narrow.pattern", state=State.NO_DATA, says=says)
    work = found.increases.total("processed")
    if sum(work) <= 0:
        says = "No work was done in window or baseline: nothing to judge. Choose one with traffic."
        return Finding(
            check="narrow.pattern", state=State.NO_DATA, says=says, value=0.0, unit="rows", n=0
        )
    says = (
        f"No label pattern left its baseline: {work[0]:.0f} rows finished, {work[1]:.0f} before "
        f"(exposure {found.exposure.ratio:.2f} by {found.exposure.measured_by})."
    )
    return Finding(
        check="narrow.pattern",
        state=State.OK,
        says=says,
        value=0.0,
        unit="patterns",
        n=round(sum(work)),
    )


def _seen_at(case: Case, scope: Scope, *, what: str, says: str) -> tuple[Evidence, ...]:
    """The change as a metric delta, and where its counter is drawn."""
    metric = counter(scope)
    delta = Evidence(
        kind="metric_delta",
        ref=f"increase of {what} in {case.window}",
        says=says,
        url=graph_url(case, expression(metric, scope)),
    )
    return (delta, *in_grafana(case, metric, scope))


def _folding(found: Narrowing) -> tuple[Finding, ...]:
    """What was folded; silent where nothing failed, a warning where retries could not be."""
    attempts = sum(found.increases.total(m)[0] for m in ("retry_scheduled", "terminal_failed"))
    if attempts <= 0:
        return ()
    by = found.folding
    return (
        Finding(
            check="narrow.folding",
            state=State.OK if by.by else State.WARN,
            says=f"{by}.",
            value=round(by.attempts / by.rows, 2) if by.rows else None,
            unit="attempts per row",
            n=round(attempts),
        ),
    )


def _reasons(found: Narrowing) -> tuple[Finding, ...]:
    names = set(found.increases.table.index.get_level_values("reason")) - {""}
    unknown = sorted(name for name in names if not is_known(name))
    if not unknown:
        return ()
    says = f"The contract does not know reason {', '.join(unknown)[:200]}; it is shown as written."
    return (
        Finding(
            check="narrow.reasons",
            state=State.WARN,
            says=says,
            value=float(len(unknown)),
            unit="reasons",
            threshold=0.0,
            n=len(names),
        ),
    )


def _gauges(case: Case, found: Narrowing) -> tuple[Finding, ...]:
    findings = []
    for move in found.moves:
        metric = catalogue.BY_ID[move.metric]
        scope = case.asked.narrow(projection=move.projection)
        whose = f" of {move.projection}" if move.projection else ""
        seen = f"peak {move.peak:.1f}, baseline median {move.median:.1f} {metric.unit}"
        state = State.BAD if move.moved else State.WARN if move.excused else State.OK
        verb = "passed its bound" if move.moved else "stayed within its bound"
        if move.excused:
            verb = "passed its bound, as rows that failed for good explain (look at the outbox)"
        findings.append(
            Finding(
                check=f"narrow.gauge.{move.metric}",
                state=state,
                says=f"{metric.name}{whose} {verb}: {seen}, bound {move.bound:.1f} {metric.unit} "
                f"(robust z {move.z:.1f}).",
                value=round(move.peak, 3),
                unit=metric.unit,
                threshold=round(move.bound, 3),
                scope=scope,
                evidence=() if state is State.OK else drawn(case, metric, scope, says=seen),
            )
        )
    return tuple(findings)


def _reclaimed(found: Narrowing) -> tuple[Finding, ...]:
    """Claims that ran out: no label pattern shows them, and a quiet system has none."""
    seen, before = found.increases.total("reclaimed")
    if seen < 1 or before >= 1:
        return ()
    name = catalogue.BY_ID["reclaimed"].name
    # Without a baseline nothing was counted there, which is not none.
    beside = ", none in the baseline" if found.exposure else ""
    return (
        Finding(
            check="narrow.reclaimed",
            state=State.WARN,
            says=f"{name} rose by {seen:.0f}{beside}: claims of rows ran out.",
            value=seen,
            unit="rows",
            threshold=0.0,
            n=round(seen),
        ),
    )


def _headline(findings: list[Finding]) -> str:
    """The pattern, and what is amiss beside quiet ones."""
    pattern, *rest = findings
    worse = [one for one in rest if one.check == "narrow.reclaimed"]
    if pattern.state is State.OK and worse:
        return f"{pattern.says} But {worse[0].says}"
    return pattern.says


def _suspect(pattern: Pattern) -> Suspect:
    return Suspect(
        what=str(pattern),
        score=round(pattern.g2, 2),
        observed=pattern.observed,
        expected=round(pattern.expected, 2),
    )
