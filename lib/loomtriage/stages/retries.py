"""Retries: is each failed attempt tried again as planned, and does none go round for ever?"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from loomtriage.analysis.counters.increases import measure
from loomtriage.analysis.retries.backoff import BASE_S, MAX_S, Law, kept, law
from loomtriage.analysis.retries.loops import SAYS, Loop, silent_loops
from loomtriage.analysis.retries.residue import Residue, residues
from loomtriage.analysis.retries.tries import tries_of_lines, tries_of_spans
from loomtriage.case import Case, at_once
from loomtriage.model import Evidence, Finding, Frame, State, judge
from loomtriage.stages.result import StageResult, caveats_of, check_safely, finish, missing
from loomtriage.stages.retries_show import (
    attempts_chart,
    attempts_shown,
    loops_table,
    residue_table,
    waiting_table,
)

CONVERGED = 0.8
"""Share of the later retries that one reason holds, from which on they are of one mind."""
PLANNED_WELL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What this stage looks at: frames, and what they tell together."""

    rows: Frame
    lines: Frame
    metrics: Frame
    tries: pd.DataFrame
    retried: float

    @property
    def retries(self) -> pd.DataFrame:
        """The tries that end in another try."""
        return self.tries[self.tries["result"] == "retry"]


def retries(case: Case) -> StageResult:
    """Audit the backoff of each row, find silent loops, tell residue from backlog."""
    seen = _look(case)
    followed = law(seen.tries)
    loops = silent_loops(seen.tries, seen.lines.data, seen.rows.data, retried=seen.retried)
    left = residues(seen.rows.data, now=case.window.end)
    findings = [
        *check_safely("retries.loops", lambda: _loops(seen, loops), seen.lines, seen.rows),
        *check_safely("retries.backoff", lambda: _backoff(seen, followed), seen.lines),
        *check_safely("retries.reasons", lambda: _reasons(seen), seen.lines),
        *check_safely("retries.residue", lambda: _residue(seen, left), seen.rows),
    ]
    result = StageResult(
        stage="retries",
        verdict=judge(findings),
        charts=(attempts_chart(case, seen.tries),),
        tables=(
            loops_table(loops),
            attempts_shown(seen.tries, followed),
            waiting_table(seen.rows.data, followed, now=case.window.end),
            residue_table(left),
        ),
        caveats=caveats_of(seen.rows, seen.lines),
        handover={"silent_loops": [loop.kind for loop in loops]},
        source=case.source,
    )
    return finish(case, result)


def _look(case: Case) -> _Seen:
    rows, lines, metrics = at_once(
        lambda: case.pull("rows"),
        lambda: case.pull("lines"),
        lambda: case.pull_metrics("retry_scheduled", "up"),
    )
    grown = measure(metrics, window=case.window, baseline=case.baseline)
    told = tries_of_lines(lines.data)
    return _Seen(
        rows=rows,
        lines=lines,
        metrics=metrics,
        # Spans tell less, and are many: they are asked only where no line names a row.
        tries=told if len(told) else tries_of_spans(case.pull("spans").data),
        retried=sum(grown.total("retry_scheduled")),
    )


def _loops(seen: _Seen, loops: tuple[Loop, ...]) -> tuple[Finding, ...]:
    if loops:
        return tuple(_loop(loop) for loop in loops)
    if not len(seen.lines) and not len(seen.rows):
        return (missing("retries.loops", seen.lines),)
    rows = seen.tries["row_id"].nunique()
    says = f"No row goes round in silence, among {rows} rows tried {len(seen.tries)} times."
    finding = Finding(
        check="retries.loops", state=State.OK, says=says, value=0.0, unit="loops", n=rows
    )
    return (finding,)


def _loop(loop: Loop) -> Finding:
    what, do = SAYS[loop.kind]
    refs = (*loop.refs, *[""] * len(loop.rows))
    return Finding(
        check=f"retries.loop.{loop.kind}",
        state=State.BAD,
        says=f"Silent loop: {what}. {loop.because}. {do}"[:900],
        value=float(loop.n),
        unit=loop.unit,
        threshold=0.0,
        n=loop.n,
        evidence=tuple(
            Evidence(
                kind="row", ref=row_id, says=f"goes round; last told by {ref}" if ref else "waits"
            )
            for row_id, ref in zip(loop.rows, refs, strict=False)
        ),
    )


def _backoff(seen: _Seen, followed: Law | None) -> tuple[Finding, ...]:
    check = "retries.backoff"
    if followed is None:
        return (_no_waits(seen, check),)
    inside = followed.inside / followed.n
    held = kept(seen.tries)
    is_well = inside >= PLANNED_WELL and not (held and held.early)
    says = (
        f"{followed.inside} of {followed.n} planned waits follow {followed.base_s:.2g} s doubling "
        f"up to {followed.max_s:.2g} s (documented: {BASE_S:g} s up to {MAX_S:g} s)"
    )
    if followed.grows is False:
        is_well, says = False, f"{says}; they do not grow with the attempts"
    if held:
        says += f"; {held.n - held.early} of {held.n} next tries came at their time or later"
        says += f", half of them within {held.late_s[0]:.2g} s of it"
    return (
        Finding(
            check=check,
            state=State.OK if is_well else State.WARN,
            says=f"{says}.",
            value=round(inside, 3),
            unit="share",
            threshold=PLANNED_WELL,
            n=followed.n,
        ),
    )


def _no_waits(seen: _Seen, check: str) -> Finding:
    """No line tells a wait: because nothing was retried, or because nobody says."""
    if seen.retried or len(seen.retries):
        says = (
            f"{max(seen.retried, len(seen.retries)):.0f} retries, and no line tells how long each "
            "waits. Lines outbox.row_retry with backoff_s would."
        )
        return Finding(check=check, state=State.NO_DATA, says=says)
    if not len(seen.lines) and not len(seen.metrics):
        return missing(check, seen.lines)
    return Finding(check=check, state=State.OK, says="No retry was scheduled.", value=0.0, n=0)


def _reasons(seen: _Seen) -> tuple[Finding, ...]:
    told = seen.retries.sort_values("at")
    later = told["reason"].iloc[len(told) // 2 :]
    if len(later) < 2:
        return ()
    counts = later.value_counts()
    share = float(counts.iloc[0]) / len(later)
    says = (
        f"Reason {counts.index[0]} holds {share:.0%} of the later half of the retries, "
        f"{len(counts)} reasons in all."
    )
    state = State.OK if share >= CONVERGED else State.WARN
    return (
        Finding(
            check="retries.reasons",
            state=state,
            says=says,
            value=round(share, 3),
            unit="share",
            threshold=CONVERGED,
            n=len(later),
        ),
    )


def _residue(seen: _Seen, left: tuple[Residue, ...]) -> tuple[Finding, ...]:
    if seen.rows.missing:
        return (missing("retries.residue", seen.rows),)
    if not left:
        says = "Every row is done: neither backlog nor residue."
        return (Finding(check="retries.residue", state=State.OK, says=says, value=0.0, n=0),)
    return tuple(
        Finding(
            check=f"retries.residue.{one.projection}",
            state=State.WARN if one.failed else State.OK,
            says=(
                f"Backlog {one.backlog} ({one.claimable} due, {one.waiting} waiting for "
                f"their time, {one.processing} claimed); failed for good {one.failed}"
                + (", which is residue and no backlog: see close." if one.failed else ".")
            ),
            value=float(one.failed),
            unit="failed rows",
            threshold=0.0,
            n=one.backlog + one.failed,
        )
        for one in left
    )
