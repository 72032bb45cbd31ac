"""Incident: what is there to tell afterwards, in the order of a post-mortem?"""

from __future__ import annotations

from loomtriage.case import Case, at_once
from loomtriage.model import Finding, Frame, Signal, State, judge
from loomtriage.report.postmortem import PEOPLE, TO_FILL, Story, rows_table
from loomtriage.report.tables import Table
from loomtriage.stages.incident_story import story
from loomtriage.stages.incident_timeline import moments
from loomtriage.stages.incident_told import Told, tell
from loomtriage.stages.result import StageResult, check_safely, finish, missing


def incident(case: Case) -> StageResult:
    """Put what the earlier stages found into a draft; judge only whether there is enough to tell.

    The state of the incident itself stays the one that the path gave it.
    """
    told = tell(case)
    spans, lines, rows = at_once(
        lambda: case.pull("spans"), lambda: case.pull("lines"), lambda: case.pull("rows")
    )
    timeline = moments(case, told, spans=spans, lines=lines, rows=rows)
    draft = story(case, told, timeline=timeline, rows=rows)
    findings = [
        *check_safely("incident.stages", lambda: (_stages(told),)),
        *check_safely("incident.timeline", lambda: (_timeline(told, draft),)),
        *check_safely("incident.rows", lambda: (_rows(rows),)),
    ]
    result = StageResult(
        stage="incident",
        verdict=judge(findings, headline=_headline(findings)),
        tables=_tables(draft),
        caveats=draft.caveats,
        conclusion=draft.as_json(),
        source=case.source,
    )
    return finish(case, result)


def _headline(findings: list[Finding]) -> str:
    """Of the draft, not of the incident; where there is too little, the worst finding says so."""
    if any(finding.state is not State.OK for finding in findings):
        return ""
    timeline = next(f.says for f in findings if f.check == "incident.timeline")
    return f"There is enough to tell: {timeline}"


def _stages(told: Told) -> Finding:
    broken = [name for name, verdict in told.verdicts.items() if verdict.state is State.ERROR]
    there = f"{len(told.verdicts)} stages left a result"
    if not told.conclusion:
        says = f"{there}, explain did not. Run the path again."
        return Finding(check="incident.stages", state=State.NO_DATA, says=says)
    if broken:
        says = f"{there}; {', '.join(broken)} broke."
        return Finding(check="incident.stages", state=State.WARN, says=says)
    return Finding(check="incident.stages", state=State.OK, says=f"{there}.")


def _timeline(told: Told, draft: Story) -> Finding:
    sources = sorted({moment.source for moment in draft.timeline})
    says = f"{len(draft.timeline)} moments from {', '.join(sources) or 'no source'}."
    quiet = told.conclusion.get("cause") == "none"
    enough = quiet or len(sources) > 1
    return Finding(
        check="incident.timeline",
        state=State.OK if enough else State.WARN,
        says=says if enough else f"{says} One signal alone cannot date an incident.",
        value=float(len(draft.timeline)),
        unit="moments",
        n=len(sources),
    )


def _rows(rows: Frame) -> Finding:
    if not len(rows):
        return missing("incident.rows", rows)
    says = f"The close-out state is told by {len(rows)} rows of the {Signal.ROWS.value} source."
    return Finding(check="incident.rows", state=State.OK, says=says, n=len(rows))


def _tables(draft: Story) -> tuple[Table, ...]:
    timeline = tuple((m.at, m.source, m.says, m.query) for m in draft.timeline)
    causes = [("fired", text, "") for text in draft.because]
    causes += [("rejected", name, why) for name, why in draft.rejected]
    return (
        Table(
            id="summary",
            title="Summary",
            columns=("what",),
            rows=tuple((s,) for s in draft.summary),
        ),
        Table(id="impact", title="Impact", columns=("what", "how much"), rows=draft.impact),
        Table(
            id="timeline",
            title="Timeline",
            columns=("time (UTC)", "source", "what", "ask again with"),
            rows=timeline,
        ),
        Table(
            id="cause",
            title="Why this cause and no other",
            columns=("what", "fact or cause", "ruled out because"),
            rows=tuple(causes),
        ),
        rows_table(draft),
        Table(
            id="people",
            title="What only people can write",
            columns=("section", "text"),
            rows=tuple((name, f"{TO_FILL} {what}".strip()) for name, what in PEOPLE),
        ),
    )
