"""Which findings do the traces give: a failing step, a slower one, missing children, coverage?"""

from __future__ import annotations

import pandas as pd

from loomtriage.analysis.steps.calls import NETWORK, Name
from loomtriage.analysis.steps.outcomes import failing
from loomtriage.analysis.steps.ranking import EFFECT, Step
from loomtriage.analysis.surprise import FLOOR_EVENTS
from loomtriage.case import Case
from loomtriage.contract.events import STARTUP
from loomtriage.contract.keys import read_each
from loomtriage.contract.reasons import canonical
from loomtriage.contract.spans import BATCH
from loomtriage.model import Evidence, Finding, Frame, State
from loomtriage.stages.links import search_url, trace_url
from loomtriage.stages.locating import Locating
from loomtriage.stages.preflight_tracing import excuse_of, excused, why_untraced
from loomtriage.stages.result import longer, missing

ENOUGH_COVERAGE = 0.5
"""Below this share of failed rows with a failing span, traces do not speak for the counters."""


def no_traces(case: Case, frame: Frame) -> Finding:
    """NO_DATA: why there is no trace, as far as log lines tell, and what would bring them back."""
    found = missing("locate.traces", frame)
    why = ""
    if frame.missing == "empty":
        lines = case.pull("lines").data
        if excuse := excuse_of(str(case.handover.get("clocks") or ""), lines):
            return excused(found.check, excuse)
        why = _why_empty(lines)
    says = f"{found.says} {why} Until then metrics and logs are the main chain."
    return Finding(check=found.check, state=found.state, says=" ".join(says.split()), n=0)


def failing_step(case: Case, found: Locating) -> Finding:
    """The deepest failing step, or what speaks against "nothing fails"."""
    step, spans = found.step, found.spans
    if spans.empty:
        says = f"No trace lies inside the scope {case.scope}. Widen it, or choose a longer window."
        return Finding(check="locate.step", state=State.NO_DATA, says=says, n=0)
    if step is None:
        hidden = found.coverage.n >= FLOOR_EVENTS
        says = f"No step fails: {len(spans)} spans in {spans['trace_id'].nunique()} traces"
        says += f", though {found.coverage.n} rows failed by the counters." if hidden else "."
        return Finding(
            check="locate.step",
            state=State.WARN if hidden else State.OK,
            says=says,
            value=0.0,
            unit="failing steps",
            n=len(spans),
        )
    before = f"{step.errors_before} of {step.calls_before}" if step.calls_before else "no calls"
    retried = f" in {step.attempts} attempts" if step.attempts > step.calls else ""
    says = (
        f"{step} fails under {step.parent or 'no parent'}: {step.errors} of {step.calls} calls"
        f"{retried}, baseline {before}."
    )
    doubt = f" Less sure: {'; '.join(found.doubts)}." if found.doubts else ""
    return Finding(
        check="locate.step",
        state=State.BAD,
        says=says + doubt,
        value=float(step.errors),
        unit="failing calls",
        n=step.calls,
        scope=case.scope,
        evidence=(*_evidence(case, found), *_search(case, step.name, **_marked(found, step.name))),
    )


def slow_step(case: Case, found: Locating) -> Finding:
    """The step that takes longer than in the baseline, errors or not."""
    check, step = "locate.slow_step", found.slow
    judged = [s for s in found.steps if min(s.calls, s.calls_before) >= FLOOR_EVENTS]
    calls = sum(s.calls for s in judged)
    if not judged:
        says = (
            "No step has six calls in both window and baseline, so no duration can be compared. "
            f"{longer(case)}"
        )
        return Finding(check=check, state=State.NO_DATA, says=says, n=0)
    if step is None:
        says = f"No step is slower: {len(judged)} steps, {calls} calls."
        return Finding(
            check=check, state=State.OK, says=says, value=0.0, unit="slower steps", n=calls
        )
    pace = step.pace
    what = "the way to it takes" if step.operation == NETWORK else "itself takes"
    says = (
        f"{step} is slower: {what} {pace.median_s * 1e3:.1f} ms a call (median of {step.calls}), "
        f"baseline {pace.median_before_s * 1e3:.1f} ms (of {step.calls_before}); "
        f"{pace.excess_s * 1e3:+.1f} ms a trace, {pace.share:.0%} of all that was added."
    )
    return Finding(
        check=check,
        state=State.WARN,
        says=says,
        value=round(pace.effect, 3),
        unit="Cliff's δ",
        threshold=EFFECT,
        n=step.calls,
        scope=case.scope,
        evidence=(*(() if found.step else _evidence(case, found)), *_search(case, _real(step))),
    )


def missing_children(case: Case, found: Locating) -> tuple[Finding, ...]:
    """The child step that is missing most surprisingly; nothing when none is."""
    if not found.absent:
        return ()
    worst, more = found.absent[0], len(found.absent) - 1
    says = (
        f"{worst.child[0]} › {worst.child[1]} is missing under {worst.parent[1]}: in "
        f"{worst.absent} of {worst.calls} calls, baseline {worst.absent_before} of "
        f"{worst.calls_before}. The call was not made, the worker died, or spans were lost."
    )
    return (
        Finding(
            check="locate.missing_child",
            state=State.WARN,
            says=says + (f" {more} more children are missing." if more else ""),
            value=float(worst.absent),
            unit="calls without the child",
            n=worst.calls,
            scope=case.scope,
            evidence=_search(case, worst.parent),
        ),
    )


def coverage(found: Locating) -> tuple[Finding, ...]:
    """How many of the rows that failed by the counters have a failing span."""
    edge = found.coverage
    if edge.share is None:
        return ()
    low = edge.share < ENOUGH_COVERAGE and edge.n >= FLOOR_EVENTS
    says = f"{edge.resolved} of {edge.n} rows that failed by the counters have a failing span."
    return (
        Finding(
            check="locate.coverage",
            state=State.WARN if low else State.OK,
            says=f"{says} {_why_uncovered(found.spans)}" if low else says,
            value=round(edge.share, 3),
            unit="share",
            threshold=ENOUGH_COVERAGE,
            n=edge.n,
        ),
    )


def _why_uncovered(spans: pd.DataFrame) -> str:
    batches = spans.loc[spans["operation"] == BATCH, "attributes"]
    if any(str(one.get("mode", "")).startswith("es_bulk") for one in batches):
        return (
            "Bulk spans end before their items are judged and say ok whatever became of them: "
            "believe the counters."
        )
    return "The rest was sampled out, lost, or lies in traces that were not fetched."


def _why_empty(lines: pd.DataFrame) -> str:
    if lines.empty:
        return "No log line tells why."
    if told := why_untraced(lines):
        return told
    started = lines.loc[lines["event"] == STARTUP, "fields"]
    ratio = next((one["sampler_arg"] for one in started if one.get("sampler_arg")), "")
    kept = (
        f"The sampler keeps {ratio} of all traces" if ratio else "The sampler keeps 5 % unless set"
    )
    return (
        f"Log lines tell neither of a lost collector nor of tracing turned off. {kept}: "
        "set OTEL_TRACES_SAMPLER=always_on, or choose a longer window."
    )


def _evidence(case: Case, found: Locating) -> tuple[Evidence, ...]:
    return tuple(_trace(case, found.spans, trace_id) for trace_id in found.examples.changed)


def _search(case: Case, step: Name, **tags: str) -> tuple[Evidence, ...]:
    """The traces of the window that hold the step; nothing without Jaeger."""
    url = search_url(case, *step, **tags)
    ref = " ".join((" › ".join(step), *(f"{key}={value}" for key, value in tags.items())))
    says = "its traces of the window in Jaeger"
    return (Evidence(kind="search", ref=ref, says=says, url=url),) if url else ()


def _real(step: Step) -> Name:
    """The name that spans carry: the way to a server is a step of ours, seen at its caller."""
    return step.above if step.operation == NETWORK else step.name


def _marked(found: Locating, step: Name) -> dict[str, str]:
    """The tag of spans that failed, where those of the step carry it; a retry may not."""
    spans = found.spans
    mine = spans["service"].eq(step[0]) & spans["operation"].eq(step[1])
    return {"error": "true"} if spans.loc[mine, "error"].any() else {}


def _trace(case: Case, spans: pd.DataFrame, trace_id: str) -> Evidence:
    mine = spans[spans["trace_id"] == trace_id]
    bad = mine[failing(mine)]
    (told,) = read_each(("reason",), bad["attributes"])
    reasons = sorted({canonical(one) for one in told} - {"", "none", "mixed"})
    says = f"{len(mine)} spans, {len(bad)} failing, reason {', '.join(reasons) or 'not given'}"
    return Evidence(kind="trace", ref=trace_id, says=says, url=trace_url(case, trace_id))


def step_in_words(step: Step | None, steps: tuple[Step, ...]) -> dict[str, str]:
    """The step with the way down to it, `batch › row › call`, inside its own service."""
    if step is None:
        return {}
    chain, above, known = [step], step.above, {s.name: s for s in steps}
    while above in known and known[above] not in chain and above[0] == step.service:
        chain.insert(0, known[above])
        above = known[above].above
    path = " › ".join(one.operation for one in chain)
    return {"service": step.service, "operation": step.operation, "path": path}
