"""Locate: which step (service + span name) fails inside the scope?"""

from __future__ import annotations

import pandas as pd

from loomtriage.analysis.joins import metric_to_trace
from loomtriage.analysis.steps import Step, compare, deepest, failing
from loomtriage.case import Case
from loomtriage.contract.keys import read_key
from loomtriage.contract.reasons import canonical
from loomtriage.contract.spans import BATCH, ROW
from loomtriage.model import Evidence, Finding, Frame, Kind, State, judge
from loomtriage.model.window import iso
from loomtriage.report.canvas import Chart, nothing
from loomtriage.report.tables import Table
from loomtriage.report.waterfall import waterfall
from loomtriage.stages.narrowing import measure_case
from loomtriage.stages.result import (
    StageResult,
    caveats_of,
    check_safely,
    finish,
    missing,
)

EXAMPLES = 3
TRACE_IDS_HANDED_ON = 50


def locate(case: Case) -> StageResult:
    """Compare the steps of failing traces with the baseline's and hand the deepest one on."""
    spans, before = case.pull("spans"), _before(case)
    if not len(spans):
        verdict = judge(
            [missing("locate.traces", spans)],
            headline="Traces are missing; metrics and logs become the main chain.",
        )
        result = StageResult(
            stage="locate",
            verdict=verdict,
            charts=_waterfall(spans.data, spans.data, []),
            tables=(_steps(()), _examples(spans.data, [])),
            caveats=caveats_of(spans),
            source=case.source,
        )
        return finish(case, result)
    inside, healthy = in_scope(spans.data, case), in_scope(before.data, case)
    steps = compare(inside, healthy)
    step = deepest(steps)
    found = example_traces(inside, step)
    findings = check_safely("locate.step", lambda: (_step(case, step, inside, found),))
    verdict = judge(list(findings), headline=findings[0].says)
    first = inside.loc[failing(inside), "start"].min() if step else None
    result = StageResult(
        stage="locate",
        verdict=verdict,
        charts=_waterfall(inside, healthy, found),
        tables=(_steps(steps), _examples(inside, found)),
        caveats=caveats_of(spans, before),
        handover={
            "step": _named(step, steps) if step else {},
            "trace_ids": found,
            "failing_trace_ids": _failing_ids(inside)[:TRACE_IDS_HANDED_ON],
            "first_error_span": iso(first.to_pydatetime(warn=False))
            if step and first is not None
            else "",
            "metric_to_trace": _coverage(case, inside),
        },
        source=case.source,
    )
    return finish(case, result)


def in_scope(spans: pd.DataFrame, case: Case) -> pd.DataFrame:
    """Whole traces with a batch or row span that agrees with the scope's env, projection and op.

    A batch of several ops says `mixed` and stays: some of its rows are inside.
    """
    wanted = {
        k: v for k, v in case.scope.as_json().items() if k in ("env", "projection", "op") and v
    }
    if not wanted or spans.empty:
        return spans
    keep = [
        all(read_key(key, attributes) in ("", "mixed", value) for key, value in wanted.items())
        for attributes in spans["attributes"]
    ]
    touched = spans["operation"].isin((BATCH, ROW))
    agrees = pd.Series(keep, index=spans.index)
    foreign = set(spans.loc[touched & ~agrees, "trace_id"])
    foreign -= set(spans.loc[touched & agrees, "trace_id"])
    return spans[~spans["trace_id"].isin(foreign)]


def example_traces(spans: pd.DataFrame, step: Step | None) -> list[str]:
    """Up to three traces in which the step fails: median, worst, earliest by root duration."""
    if step is None:
        return []
    hit = (
        failing(spans) & (spans["operation"] == step.operation) & (spans["service"] == step.service)
    )
    chosen = spans[spans["trace_id"].isin(set(spans.loc[hit, "trace_id"]))]
    longest = chosen.groupby("trace_id").agg(d=("duration_s", "max"), at=("start", "min"))
    longest = longest.sort_values(["d", "at"])
    picks = [longest.index[len(longest) // 2], longest.index[-1], longest["at"].idxmin()]
    return list(dict.fromkeys(str(p) for p in picks))[:EXAMPLES]


def _before(case: Case) -> Frame:
    if case.baseline is not None:
        return case.pull("spans_before")
    spans = case.pull("spans")
    return Frame.empty(Kind.SPANS, spans.origin, missing="no_baseline")


def _failing_ids(spans: pd.DataFrame) -> list[str]:
    return sorted(set(spans.loc[failing(spans), "trace_id"]))


def _named(step: Step, steps: tuple[Step, ...]) -> dict[str, str]:
    """The step with the way down to it, `batch › row › call`, inside its own service."""
    chain, above = [step.operation], step.parent
    known = {s.operation: s for s in steps if s.service == step.service}
    while above in known and above not in chain:
        chain.insert(0, above)
        above = known[above].parent
    return {
        "service": step.service,
        "operation": step.operation,
        "path": " › ".join(chain),
    }


def _coverage(case: Case, spans: pd.DataFrame) -> dict[str, object]:
    increases = measure_case(case).increases
    total = increases.total("retry_scheduled")[0] + increases.total("terminal_failed")[0]
    cover = metric_to_trace(total, spans, operation=ROW)
    if cover.resolved == 0:
        cover = metric_to_trace(total, spans, operation=BATCH)
    return {"resolved": cover.resolved, "n": cover.n}


def _step(case: Case, step: Step | None, spans: pd.DataFrame, found: list[str]) -> Finding:
    if spans.empty:
        says = f"No trace lies inside the scope {case.scope}. Widen it, or choose a longer window."
        return Finding(check="locate.step", state=State.NO_DATA, says=says, n=0)
    if step is None:
        says = f"No step fails: {len(spans)} spans in {spans['trace_id'].nunique()} traces."
        return Finding(
            check="locate.step",
            state=State.OK,
            says=says,
            value=0.0,
            unit="failing steps",
            n=len(spans),
        )
    before = f"{step.errors_before} of {step.calls_before}" if step.calls_before else "no calls"
    says = (
        f"{step} fails under {step.parent or 'no parent'}: {step.errors} of {step.calls} calls, "
        f"baseline {before}."
    )
    return Finding(
        check="locate.step",
        state=State.BAD,
        says=says,
        value=float(step.errors),
        unit="failing calls",
        n=step.calls,
        scope=case.scope,
        evidence=tuple(_trace_evidence(case, spans, trace_id) for trace_id in found),
    )


def _trace_evidence(case: Case, spans: pd.DataFrame, trace_id: str) -> Evidence:
    mine = spans[spans["trace_id"] == trace_id]
    bad = mine[failing(mine)]
    reasons = sorted(
        {canonical(read_key("reason", a)) for a in bad["attributes"]} - {"", "none", "mixed"}
    )
    says = f"{len(mine)} spans, {len(bad)} failing, reason {', '.join(reasons) or 'not given'}"
    base = case.evidence.links.jaeger
    return Evidence(
        kind="trace", ref=trace_id, says=says, url=f"{base}/trace/{trace_id}" if base else ""
    )


def _steps(steps: tuple[Step, ...]) -> Table:
    rows = tuple(
        (
            str(step),
            step.parent,
            f"{step.errors}/{step.calls}",
            f"{step.errors_before}/{step.calls_before}",
            f"{step.g2:+.0f}" if step.calls_before else "no baseline",
            f"{step.excess_self_s * 1000:+.1f}",
        )
        for step in steps[:12]
    )
    return Table(
        id="steps",
        title="Steps, the most surprising errors first",
        columns=("step", "under", "errors/calls", "baseline", "signed G²", "own time [ms/trace]"),
        rows=rows,
        note="Own time is a step's duration without its children, beyond the baseline's.",
    )


def _examples(spans: pd.DataFrame, found: list[str]) -> Table:
    rows = []
    for trace_id in found:
        mine = spans[spans["trace_id"] == trace_id]
        bad = mine[failing(mine)]
        message = next((str(m) for m in bad["status_message"] if m), "")
        rows.append(
            (
                trace_id,
                iso(mine["start"].min().to_pydatetime(warn=False)),
                f"{len(bad)}/{len(mine)}",
                message[:200],
            )
        )
    return Table(
        id="examples",
        title="Example traces",
        columns=("trace id", "start (UTC)", "failing spans", "status message"),
        rows=tuple(rows),
    )


def _waterfall(spans: pd.DataFrame, before: pd.DataFrame, found: list[str]) -> tuple[Chart, ...]:
    if not found:
        why = "No trace fails in the window."
        return (nothing("waterfall", title="Example trace", why=why),)
    mine = spans[spans["trace_id"] == found[0]]
    twin = None
    if len(before):
        healthy = before[~before["trace_id"].isin(set(before.loc[failing(before), "trace_id"]))]
        sizes = healthy.groupby("trace_id").size()
        if len(sizes):
            nearest = (sizes - len(mine)).abs().sort_values(kind="stable").index[0]
            twin = healthy[healthy["trace_id"] == nearest]
    return (
        waterfall(
            mine, id="waterfall", title=f"Trace {found[0][:16]}…, healthy twin below", twin=twin
        ),
    )
