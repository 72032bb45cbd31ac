"""Retries: is each failed attempt tried again as planned, and does none go round for ever?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd

from loomtriage.analysis.counters.increases import measure
from loomtriage.analysis.retries.backoff import BASE_S, MAX_S, MAX_S_OF, Law, kept, laws
from loomtriage.analysis.retries.loops import SAYS, Loop, silent_loops
from loomtriage.analysis.retries.residue import Residue, residues
from loomtriage.analysis.retries.tries import tries_of_lines, tries_of_spans
from loomtriage.case import Case, at_once
from loomtriage.model import Evidence, Finding, Frame, State, judge
from loomtriage.report.canvas import guarded
from loomtriage.report.tables import Table
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
TABLES = ("loops", "waits", "waiting", "residue")
WORKS = ("outbox.", "projection.")
"""How the events begin of lines that a worker writes about its work."""


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
    # Each check leaves its tables when it gets so far; one that breaks leaves the others theirs.
    shown: dict[str, Table] = {}
    kinds: list[str] = []

    def looping() -> tuple[Finding, ...]:
        loops = silent_loops(seen.tries, seen.lines.data, seen.rows.data, retried=seen.retried)
        kinds.extend(loop.kind for loop in loops)
        shown["loops"] = loops_table(loops)
        return _loops(seen, loops)

    def waiting() -> tuple[Finding, ...]:
        followed = laws(seen.tries)
        shown["waits"] = attempts_shown(seen.tries, followed)
        shown["waiting"] = waiting_table(seen.rows.data, followed, now=case.window.end)
        return _backoff(seen, followed)

    def left() -> tuple[Finding, ...]:
        found = residues(seen.rows.data, now=case.window.end)
        shown["residue"] = residue_table(found)
        return _residue(seen, found)

    findings = [
        *check_safely("retries.loops", looping, seen.lines, seen.rows),
        *check_safely("retries.backoff", waiting, seen.lines),
        *check_safely("retries.reasons", lambda: _reasons(seen), seen.lines),
        *check_safely("retries.residue", left, seen.rows),
    ]
    title = "Attempts of the rows tried most often"
    chart = partial(attempts_chart, case, seen.tries, title=title)
    result = StageResult(
        stage="retries",
        verdict=judge(findings),
        charts=(guarded("attempts", title=title, make=chart),) if case.pictures else (),
        tables=tuple(shown.get(name, _broken(name)) for name in TABLES),
        caveats=caveats_of(seen.rows, seen.lines),
        handover={"silent_loops": kinds},
        source=case.source,
    )
    return finish(case, result)


def _broken(name: str) -> Table:
    note = "Not worked out: its check broke, see the findings."
    return Table(id=name, title=name.capitalize(), columns=("what",), rows=(), note=note)


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
    if seen.tries.empty and not _hears_workers(seen):
        return (_nothing_heard(seen),)
    rows = seen.tries["row_id"].nunique()
    says = f"No row goes round in silence, among {rows} rows tried {len(seen.tries)} times."
    if not rows:
        says = "No claim goes round in silence; of single rows no line and no span tells."
    finding = Finding(
        check="retries.loops", state=State.OK, says=says, value=0.0, unit="loops", n=rows
    )
    return (finding,)


def _hears_workers(seen: _Seen) -> bool:
    lines = seen.lines.data
    return bool(len(lines)) and bool(lines["event"].astype(str).str.startswith(WORKS).any())


def _nothing_heard(seen: _Seen) -> Finding:
    """Nobody tells of claims and tries: the rows alone do not show that none goes round."""
    if not len(seen.lines):
        return missing("retries.loops", seen.lines)
    says = (
        "No line and no span tells of a claim or of a row. Lines outbox.claim_batch and "
        "outbox.row_* of the workers would."
    )
    return Finding(check="retries.loops", state=State.NO_DATA, says=says)


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


def _backoff(seen: _Seen, followed: Mapping[str, Law]) -> tuple[Finding, ...]:
    check = "retries.backoff"
    if not followed:
        return (_no_waits(seen, check),)
    n = sum(law.n for law in followed.values())
    inside = sum(law.inside for law in followed.values()) / n
    held = kept(seen.tries)
    is_well = all(law.inside / law.n >= PLANNED_WELL for law in followed.values())
    is_well = is_well and all(law.grows is not False for law in followed.values())
    is_well = is_well and not (held and held.early)
    told = [_told(law, projection) for projection, law in followed.items()]
    if len(told) > 1:
        told = [f"{name}: {one}" for name, one in zip(followed, told, strict=True)]
    says = "; ".join(told)
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
            n=n,
        ),
    )


def _told(law: Law, projection: str) -> str:
    """What the planned waits of one projection follow."""
    documented = f"(documented: {BASE_S:g} s up to {MAX_S_OF.get(projection, MAX_S):g} s)"
    says = (
        f"{law.inside} of {law.n} planned waits follow {law.base_s:.2g} s doubling "
        f"up to {law.max_s:.2g} s {documented}"
    )
    return f"{says}; they do not grow with the attempts" if law.grows is False else says


def _no_waits(seen: _Seen, check: str) -> Finding:
    """No line tells a wait: because nothing was retried, or because nobody says."""
    if seen.retried or len(seen.retries):
        says = (
            f"{max(seen.retried, len(seen.retries)):.0f} retries, and no line tells how long each "
            "waits. Lines outbox.row_retry with backoff_s would."
        )
        return Finding(check=check, state=State.NO_DATA, says=says)
    if seen.tries.empty and not seen.metrics.data.notna().to_numpy().any():
        # Claims alone do not tell whether what they took is tried again.
        return missing(check, seen.metrics)
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
                f"Backlog of {one.projection}: {one.backlog} ({one.claimable} due, "
                f"{one.waiting} waiting for their time, {one.processing} claimed); "
                f"failed for good {one.failed}"
                + (", which is residue and no backlog: see close." if one.failed else ".")
            ),
            value=float(one.failed),
            unit="failed rows",
            threshold=0.0,
            n=one.backlog + one.failed,
        )
        for one in left
    )
