"""Close: which rows failed for good, what closes each bucket out, and may it be replayed yet?"""

from __future__ import annotations

from loomtriage.case import Case, at_once
from loomtriage.closeout.strategy import Offer
from loomtriage.model import Evidence, Finding, Frame, State, judge
from loomtriage.report.text import clip
from loomtriage.stages.close_show import buckets_table, examples_table, rows_table
from loomtriage.stages.closing import Judged, error_of, judged_buckets
from loomtriage.stages.links import trace_url
from loomtriage.stages.result import StageResult, caveats_of, check_safely, finish, missing

SYSTEM = "SOURCE"
"""Stands in a command for the source of the system itself: `live`, or `lab:NAME`.

What is stored names none: a recording must give the same, and does not say where the system is.
"""


def close(case: Case) -> StageResult:
    """Bucket the failed rows, name each bucket's strategy, and hand the next command over."""
    rows, lines = at_once(lambda: case.pull("rows"), lambda: case.pull("lines"))
    judged: list[Judged] = []
    findings = [*check_safely("close.rows", lambda: _findings(case, rows, lines, judged), rows)]
    headline = _headline(judged) if judged else ""
    result = StageResult(
        stage="close",
        verdict=judge(findings, headline=headline),
        tables=(
            buckets_table(judged),
            examples_table(judged),
            rows_table(rows.data),
        ),
        caveats=caveats_of(rows),
        handover={"close_out": [_action(one) for one in judged]},
        source=case.source,
    )
    return finish(case, result)


def _findings(case: Case, rows: Frame, lines: Frame, judged: list[Judged]) -> tuple[Finding, ...]:
    if rows.missing:
        return (missing("close.rows", rows),)
    judged += judged_buckets(rows.data, lines.data, window=case.window)
    if judged:
        return tuple(_finding(case, one) for one in judged)
    says = f"No row failed for good, among {len(rows)} rows."
    return (Finding(check="close.rows", state=State.OK, says=says, value=0.0, n=len(rows)),)


def _finding(case: Case, one: Judged) -> Finding:
    bucket, chosen = one.bucket, one.strategy
    like = bucket.likeness
    offer = {
        Offer.ALL: "May be replayed, canary first.",
        Offer.CANARY: "Not offered for replay; one row as a canary tells whether it is fixed.",
        Offer.NOTHING: "Not offered for replay.",
    }[chosen.offer]
    says = (
        f"{_failed(bucket.n)}: {like.reason or 'no reason'}, {like.op} of {like.entity_type}. "
        f"{chosen.action}: {chosen.why} First: {chosen.first} {offer}"
    )
    evidence = [
        Evidence(kind="row", ref=row_id, says=f"failed: {error_of(bucket)}")
        for row_id in bucket.examples
    ]
    if one.trace_id:
        url = trace_url(case, one.trace_id)
        evidence.append(
            Evidence(
                kind="trace",
                ref=one.trace_id,
                says=f"of a row that failed with {like.reason or 'no reason stored'}",
                url=url,
            )
        )
    if one.line:
        evidence.append(Evidence(kind="log_line", ref=one.line, says=clip(one.line_says, 300)))
    return Finding(
        check=f"close.bucket.{one.projection}.{bucket.number}",
        state=State.BAD if one.in_window else State.WARN,
        says=says[:900],
        value=float(bucket.n),
        unit="failed rows",
        threshold=0.0,
        n=bucket.n,
        evidence=tuple(evidence),
    )


def _headline(judged: list[Judged]) -> str:
    first = judged[0]
    total = _failed(sum(one.bucket.n for one in judged))
    buckets = "1 bucket" if len(judged) == 1 else f"{len(judged)} buckets"
    reason = first.bucket.likeness.reason or "no reason"
    return f"{total} in {buckets}; the largest: {reason}, {first.strategy.action}."


def _failed(n: int) -> str:
    return "1 failed row" if n == 1 else f"{n} failed rows"


def _action(one: Judged) -> dict[str, str]:
    """The close-out action of a bucket, and the command that comes next."""
    like = one.bucket.likeness
    command = (
        f"loomtriage close-out plan --source {SYSTEM} --projection {one.projection}"
        f" --reason {like.reason}"
    )
    says = f"{_failed(one.bucket.n)} ({like.reason}, {like.op} of {like.entity_type}): "
    offered = one.strategy.offer is not Offer.NOTHING
    return {
        "kind": str(one.strategy.action),
        "says": says + one.strategy.first,
        "command": command if offered else "",
    }
