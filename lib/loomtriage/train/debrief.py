"""Debrief: where did the trainee's path leave the shortest one, and what would have told?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

from loomtriage.case import Case
from loomtriage.contract.causes import BY_ID as CAUSES
from loomtriage.drills.book import DRILLS
from loomtriage.drills.drill import Drill
from loomtriage.drills.record import canonical
from loomtriage.errors import TriageError
from loomtriage.model import Finding, State, judge
from loomtriage.model.finding import PLACES
from loomtriage.report import loose
from loomtriage.report.page import Page, Section, html
from loomtriage.report.tables import Table
from loomtriage.train.answers import Answers, Stamped
from loomtriage.train.engine import Found
from loomtriage.train.looks import Look, case_of
from loomtriage.train.rounds import Mode, Opened
from loomtriage.train.score import Part, Score
from loomtriage.train.shortest import shortest, took_it_right
from loomtriage.train.truth import UNKNOWN, Promise, Truth, check_promise, drill_of

CHARTS = ("increase_by_reason", "lag", "waterfall")
VERDICT = "verdict.json"


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
    short = shortest(drill, truth, found, _case(path.parent, opened))
    page = Page(
        title=f"Debrief of round {opened.id}",
        verdict_json=strip,
        sections=(
            _scored(score),
            _paths(sheet, looks, short, t0, found),
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


def _case(folder: Path, opened: Opened) -> Case | None:
    """The round's telemetry once more, None when it is gone."""
    try:
        return case_of(folder, opened.as_json(), stage="path")
    except TriageError:
        return None


def _next(opened: Opened, drill: Drill | None) -> tuple[str, ...]:
    """Commands that go on from here; the lab of a live round is gone."""
    perform = (f"loomtriage drill {drill.id}",) if drill else ()
    if opened.mode is Mode.LIVE:
        return (*perform, "loomtriage train")
    return (f"loomtriage path --source run:{_seen(opened)}", *perform, "loomtriage train --offline")


def _seen(opened: Opened) -> Path:
    """Where the telemetry is, from the folder of the command, or else from that of the runs."""
    there = Path(opened.source.partition(":")[2]).absolute()
    is_below = there.is_relative_to(Path.cwd())
    return there.relative_to(Path.cwd() if is_below else there.parent.parent)


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
    told = _told_apart(drill, truth)
    misled = next((one for one in final.causes if one not in {*truth.causes, *truth.near}), "")
    if misled == UNKNOWN:
        misled, state, says = "", State.WARN, "You abstained."
    elif misled in told:
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


def _told_apart(drill: Drill | None, truth: Truth) -> Mapping[str, str]:
    """Look-alikes of the drill, or of the one that stands for the cause of one's own incident."""
    if drill is None and truth.causes[0] in DRILLS:
        drill = DRILLS.get(truth.causes[0], noun="drill")
    return dict(drill.look_alikes) if drill else {}


def _kept(opened: Opened, promise: Promise, truth: Truth) -> Section:
    check_promise(opened.id, promise.truth, nonce=promise.nonce.hex(), commit=opened.commit)
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
    said = " and ".join(final.causes) or "nothing"
    state = State.OK if score.right else State.WARN if score.abstained else State.BAD
    keys = ("window", "baseline", "coverage")
    return {
        "state": state.value,
        "headline": f"{score.total:.0f} of 100: you said {said}; "
        f"it was {' or '.join(truth.causes)}.",
        "cause": truth.causes[0],
        "scope": dict(truth.scope),
        "step": {"operation": truth.operation} if truth.operation else {},
        # The cause beside it is the true one: the confidence must say what it was in.
        "confidence": "not stated" if final.sure is None else f"yours {final.sure:.0%} in {said}",
        "abstained": score.abstained,
        "evidence": evidence if took_it_right(truth, found) else [],
        **{key: found.verdict.get(key) for key in keys if found.verdict.get(key)},
    }
