"""Debrief: where did the trainee's path leave the shortest one, and what would have told?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from loomtriage.contract.catalogue import BY_ID as METRICS
from loomtriage.contract.causes import BY_ID as CAUSES
from loomtriage.drills.drill import Drill
from loomtriage.model import Finding, Scope, State, judge
from loomtriage.report import loose
from loomtriage.report.page import Page, Section, html
from loomtriage.report.tables import Table
from loomtriage.train.answers import Answers, Stamped
from loomtriage.train.engine import Found
from loomtriage.train.looks import Look
from loomtriage.train.rounds import Opened
from loomtriage.train.score import Part, Score
from loomtriage.train.truth import Promise, Truth, drill_of

CHARTS = ("increase_by_reason", "lag", "waterfall")
PANEL, QUERY, LINE = "panel", "query", "line"


def write_debrief(  # noqa: PLR0913  (all that a round left)
    path: Path,
    *,
    opened: Opened,
    truth: Truth,
    promise: Promise,
    sheet: Sequence[Stamped],
    looks: Sequence[Look],
    found: Found,
    score: Score,
    t0: datetime,
) -> Path:
    """Write the page, one file that needs nothing else; its path."""
    final = sheet[-1].answers
    drill = drill_of(promise.truth)
    page = Page(
        title=f"Debrief of round {opened.id}",
        verdict_json=_strip(truth, final, score, found),
        sections=(
            _scored(score),
            _paths(sheet, looks, shortest(drill, found), t0, found),
            _alikes(drill, final, truth),
            _kept(opened, promise, truth),
        ),
        generated_at=datetime.now(UTC),
        next_steps=(
            f"loomtriage path --source {_portable(opened)}",
            *((f"loomtriage drill {drill.id}",) if drill else ()),
            "loomtriage train --offline",
        ),
    )
    path.write_text(html(page), encoding="utf-8")
    path.chmod(0o600)
    return path


def shortest(drill: Drill | None, found: Found) -> Table:
    """The shortest path through this very round: which panel, which query, which line tells."""
    rows = [] if drill is None else [_panel(one) for one in drill.expect if _tells(one)]
    for one in loose.maps(found.verdict.get("evidence")):
        kind, ref, says = (loose.word(one, key) for key in ("kind", "ref", "says"))
        where = {"metric_delta": PANEL, "trace": QUERY, "log_line": LINE}.get(kind, kind)
        rows.append((where, loose.short(ref), says))
    step = loose.word(loose.mapping(found.verdict.get("step")), "path", "operation")
    if step:
        rows.append((QUERY, step, "the step that stands out"))
    why = loose.word(found.verdict, "headline")
    rows.append(("conclusion", loose.word(found.verdict, "cause"), why))
    columns = ("where", "look at", "what it shows")
    return Table(id="shortest", title="The shortest path", columns=columns, rows=tuple(rows))


def _tells(expectation: object) -> bool:
    """Whether a promise of the drill is something to be seen, rather than something absent."""
    name = str(getattr(expectation, "name", ""))
    return name.startswith(("appears", "rises", "falls"))


def _panel(expectation: object) -> tuple[str, str, str]:
    metric = METRICS[str(getattr(expectation, "metric", ""))]
    keys = ("projection", "op", "reason", "result")
    scope = Scope(**{key: str(getattr(expectation, key, "")) for key in keys})
    verb = str(getattr(expectation, "name", "")).split(" ")[0]
    return (PANEL, f"{metric.name}{{{scope.selector()}}}", f"{verb}: {metric.says}")


def _scored(score: Score) -> Section:
    findings = tuple(_found(part) for part in score.parts)
    return Section(
        id="score",
        title="Score",
        verdict=judge(findings),
        tables=(score.table(), score.timers()),
    )


def _found(part: Part) -> Finding:
    if part.value is None:
        state = State.NO_DATA
    else:
        state = State.OK if part.value == 1 else State.WARN if part.value > 0 else State.BAD
    return Finding(
        check=f"round.{part.name}", state=state, says=part.says, value=part.value, unit="of 1"
    )


def _paths(
    sheet: Sequence[Stamped], looks: Sequence[Look], short: Table, t0: datetime, found: Found
) -> Section:
    moments: list[tuple[float, str, str]] = [
        ((one.at - t0).total_seconds(), "look", f"{one.what}{' (hint)' if one.is_hint else ''}")
        for one in looks
    ]
    last = Answers()
    for one in sheet:
        for name, value in one.answers:
            if value not in ("", None) and value != getattr(last, name):
                moments.append((one.after_s, f"answer: {name}", str(value)))
        last = one.answers
    rows = tuple((f"{at:.0f} s", what, says) for at, what, says in sorted(moments))
    yours = Table(id="yours", title="Your path", columns=("after", "what", "which"), rows=rows)
    says = f"{len(looks)} look(s), {sum(one.is_hint for one in looks)} hint(s)."
    return Section(
        id="paths",
        title="Your path beside the shortest",
        verdict=judge((Finding(check="round.path", state=State.OK, says=says),)),
        tables=(yours, short),
        charts=tuple(chart for chart in found.charts if chart.id in CHARTS),
    )


def _alikes(drill: Drill | None, final: Answers, truth: Truth) -> Section:
    said = final.cause or ("none" if final.wrong == "no" else "")
    told = dict(drill.look_alikes) if drill else {}
    misled = said if said not in ("", *truth.causes) else ""
    if misled in told:
        state, says = State.BAD, f"You took it for {misled}. {told[misled]}"
    elif misled:
        state, says = State.BAD, f"You took it for {misled}, which is no known look-alike of it."
    else:
        state, says = State.OK, "No look-alike misled you."
    rows = tuple(
        (name, CAUSES[name].title, what, "misled you" if name == misled else "")
        for name, what in told.items()
    )
    columns = ("looks like", "which is", "told apart by", "")
    return Section(
        id="alikes",
        title="Look-alikes",
        verdict=judge((Finding(check="round.look_alike", state=state, says=says),)),
        tables=(Table(id="alikes", title="What it may be taken for", columns=columns, rows=rows),),
    )


def _kept(opened: Opened, promise: Promise, truth: Truth) -> Section:
    rows = (
        ("promised", opened.commit),
        ("nonce", promise.nonce.hex()),
        ("truth", ", ".join(f"{key}={value}" for key, value in promise.truth.items())),
        ("check", "SHA-256 of the nonce's bytes and the canonical JSON of the truth"),
    )
    says = f"The promise was kept: {truth.run}."
    return Section(
        id="promise",
        title="The promise",
        verdict=judge((Finding(check="round.promise", state=State.OK, says=says),)),
        tables=(Table(id="promise", title="Promise", columns=("what", "value"), rows=rows),),
    )


def _strip(truth: Truth, final: Answers, score: Score, found: Found) -> Mapping[str, object]:
    """The strip of the page: what it was, how it was answered."""
    said = final.cause or ("none" if final.wrong == "no" else "nothing")
    state = State.OK if score.right else State.WARN if score.abstained else State.BAD
    keys = ("window", "baseline", "evidence", "coverage")
    return {
        "state": state.value,
        "headline": f"{score.total:.0f} of 100: you said {said}; "
        f"it was {' or '.join(truth.causes)}.",
        "cause": truth.causes[0],
        "scope": dict(truth.scope),
        "step": {"operation": truth.operation} if truth.operation else {},
        "confidence": final.sure if final.sure is not None else "not stated",
        "abstained": score.abstained,
        **{key: found.verdict.get(key) for key in keys if found.verdict.get(key)},
    }


def _portable(opened: Opened) -> str:
    """The round's telemetry as seen from its own folder."""
    kind, _, rest = opened.source.partition(":")
    return f"{kind}:{Path(rest).name}" if kind == "run" else opened.source
