"""Debrief: where did the trainee's path leave the shortest one, and what would have told?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

from loomtriage.contract.catalogue import BY_ID as METRICS
from loomtriage.contract.causes import BY_ID as CAUSES
from loomtriage.drills.drill import Drill
from loomtriage.drills.expect import Expectation
from loomtriage.drills.record import canonical
from loomtriage.model import Finding, Scope, State, judge
from loomtriage.model.finding import PLACES
from loomtriage.report import loose
from loomtriage.report.page import Page, Section, html
from loomtriage.report.tables import Table
from loomtriage.train.answers import Answers, Stamped
from loomtriage.train.engine import Found
from loomtriage.train.looks import Look
from loomtriage.train.rounds import Mode, Opened
from loomtriage.train.score import Part, Score
from loomtriage.train.truth import Promise, Truth, drill_of

CHARTS = ("increase_by_reason", "lag", "waterfall")
VERDICT = "verdict.json"
PANEL = "panel"
WHERE: Mapping[str, str] = {"metric_delta": PANEL, "trace": "query", "log_line": "line"}
"""Where a person meets each kind of evidence, in the order of the path."""


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
    strip = _strip(truth, final, score, found, is_live=opened.mode is Mode.LIVE)
    page = Page(
        title=f"Debrief of round {opened.id}",
        verdict_json=strip,
        sections=(
            _scored(score),
            _paths(sheet, looks, shortest(drill, found), t0, found),
            _alikes(drill, final, truth),
            _kept(opened, promise, truth),
        ),
        generated_at=datetime.now(UTC),
        next_steps=_next(opened, drill),
    )
    for file, text in ((path, html(page)), (path.with_name(VERDICT), json.dumps(strip, indent=1))):
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)
    return path


def _next(opened: Opened, drill: Drill | None) -> tuple[str, ...]:
    """Commands that go on from here; the lab of a live round is gone."""
    perform = (f"loomtriage drill {drill.id}",) if drill else ()
    if opened.mode is Mode.LIVE:
        return (*perform, "loomtriage train")
    folder = Path(opened.source.partition(":")[2]).name
    return (f"loomtriage path --source run:{folder}", *perform, "loomtriage train --offline")


def shortest(drill: Drill | None, found: Found) -> Table:
    """The shortest path through this very round: which panel, which query, which line tells."""
    rows = [] if drill is None else [_panel(one) for one in _telling(drill)]
    step = loose.word(loose.mapping(found.verdict.get("step")), "path", "operation")
    evidence = loose.maps(found.verdict.get("evidence"))
    for kind, where in WHERE.items():
        if kind == "trace" and step:
            rows.append((where, step, "the step that stands out"))
        first = next((one for one in evidence if loose.word(one, "kind") == kind), None)
        if first is not None:
            rows.append((where, loose.short(loose.word(first, "ref")), loose.word(first, "says")))
    why = loose.word(found.verdict, "headline")
    rows.append(("verdict", loose.word(found.verdict, "cause"), why))
    columns = ("where", "look at", "what it shows")
    return Table(id="shortest", title="The shortest path", columns=columns, rows=tuple(rows))


def _telling(drill: Drill) -> list[Expectation]:
    """What appears where nothing was before; without such, what rises or falls."""
    for verbs in ("appears", ("rises", "falls")):
        found = [one for one in drill.expect if one.name.startswith(verbs)]
        if found:
            return found
    return []


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
    rows = tuple(
        (f"{at:.0f} s", what, says) for at, what, says in sorted(moments, key=itemgetter(0))
    )
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
        ("truth", canonical(promise.truth).decode()),
        ("check", "SHA-256 of the nonce's bytes (it is hexadecimal) and of the truth behind them"),
    )
    says = f"The promise was kept: {truth.run}."
    return Section(
        id="promise",
        title="The promise",
        verdict=judge((Finding(check="round.promise", state=State.OK, says=says),)),
        tables=(Table(id="promise", title="Promise", columns=("what", "value"), rows=rows),),
    )


def _strip(
    truth: Truth, final: Answers, score: Score, found: Found, *, is_live: bool
) -> Mapping[str, object]:
    """The strip of the page: what it was, how it was answered."""
    gone = {"url"} if is_live else set()  # the lab is gone, and links into it with it
    evidence = [
        {key: value for key, value in one.items() if key not in gone}
        for one in loose.maps(found.verdict.get("evidence"))
        if not (is_live and one.get("kind") in PLACES)
    ]
    said = final.cause or ("none" if final.wrong == "no" else "nothing")
    state = State.OK if score.right else State.WARN if score.abstained else State.BAD
    keys = ("window", "baseline", "coverage")
    return {
        "state": state.value,
        "headline": f"{score.total:.0f} of 100: you said {said}; "
        f"it was {' or '.join(truth.causes)}.",
        "cause": truth.causes[0],
        "scope": dict(truth.scope),
        "step": {"operation": truth.operation} if truth.operation else {},
        "confidence": final.sure if final.sure is not None else "not stated",
        "abstained": score.abstained,
        "evidence": evidence,
        **{key: found.verdict.get(key) for key in keys if found.verdict.get(key)},
    }
