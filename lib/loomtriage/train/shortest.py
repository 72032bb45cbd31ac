"""Shortest: by which few looks would this very round have been told, and what stands there?"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from loomtriage.case import Case
from loomtriage.contract.catalogue import BY_ID as METRICS
from loomtriage.contract.catalogue import MetricType
from loomtriage.drills.drill import Drill
from loomtriage.drills.expect import Expectation
from loomtriage.model import Scope
from loomtriage.report import loose
from loomtriage.report.tables import Table
from loomtriage.train.engine import Found
from loomtriage.train.grounds import FIELD, anew, moving, telling
from loomtriage.train.raw import LABELS
from loomtriage.train.truth import UNKNOWN, Truth

Row = tuple[str, str, str]
COLUMNS = ("type", "read there", "PromQL")
NO_METRIC = "no metric tells"
LONGEST = 160


def shortest(drill: Drill | None, truth: Truth, found: Found, case: Case | None) -> Table:
    """The shortest path through this very round: what to type, and what to read there.

    Args:
        drill: what was performed, None for an incident of one's own.
        truth: what was done.
        found: what the triage came to; where it is wrong, nothing of it is on the path.
        case: opened on the round, None when its telemetry is gone.
    """
    cause, is_right = loose.word(found.verdict, "cause"), took_it_right(truth, found)
    # Of two faults the loud one tells first; what moves for the other must be there as well.
    tells = moving if truth.faults else telling
    rows = [_panel(one) for one in tells(drill)] if drill else []
    if field := FIELD.get(truth.causes[0], ""):
        rows += [] if case is None else _field(case, field)
    if is_right:
        rows += _evidence(found, case, has_panel=bool(rows))
    if not rows:
        rows = [_calm(drill, truth, found)]
    note = f"The triage said {cause or 'nothing'}: {loose.word(found.verdict, 'headline')}."
    if not is_right:
        note = f"The triage said {cause or 'nothing'}, and was wrong; it shows no path here."
    return Table(
        id="shortest", title="The shortest path", columns=COLUMNS, rows=tuple(rows), note=note
    )


def took_it_right(truth: Truth, found: Found) -> bool:
    """Whether the triage named an accepted cause of this round."""
    return loose.word(found.verdict, "cause") in truth.causes


def _panel(expectation: Expectation) -> Row:
    metric = METRICS[str(getattr(expectation, "metric", ""))]
    labels = {key: str(getattr(expectation, key, "")) for key in LABELS}
    selector = Scope(**labels).selector()
    series = f"{metric.name}{{{selector}}}" if selector else metric.name
    is_counter = metric.type is MetricType.COUNTER
    verb, where = expectation.name.split(" ")[0], [f"{k}={v}" for k, v in labels.items() if v]
    return (
        f"?{metric.id}",
        f"{verb} at {' '.join(where) or 'all labels'}: {metric.says}",
        f"sum(increase({series}[1m]))" if is_counter else f"max({series})",
    )


def _field(case: Case, field: str) -> list[Row]:
    """The first line, or else span, that is the ground of a fault which moves no metric."""
    first = next(iter(anew(case, field)), None)
    if first is None:
        return []
    before = " and ".join(f"{field}={value}" for value in first.before) or "none"
    says = f"{first.projection}: {field}={first.value}, before it {before}. "
    if first.signal == "lines":
        return [("?lines", f"{says}{_line(case, first.name)}", NO_METRIC)]
    return [("?spans", f"{says}In trace {loose.short(first.name)}", NO_METRIC)]


def _evidence(found: Found, case: Case | None, *, has_panel: bool) -> list[Row]:
    """What the triage pointed at, as a person finds it: increase, failing step, line."""
    given = loose.maps(found.verdict.get("evidence"))
    first: dict[str, Mapping[str, object]] = {}
    for one in given:
        first.setdefault(loose.word(one, "kind"), one)
    rows: list[Row] = []
    if not has_panel and (moved := first.get("metric_delta")):
        rows.append(("?narrow", f"{loose.word(moved, 'ref')}: {loose.word(moved, 'says')}", ""))
    if trace := first.get("trace"):
        step = loose.word(loose.mapping(found.verdict.get("step")), "path", "operation")
        look = "?locate" if " 0 failing" in loose.word(trace, "says") else "?spans"
        name = loose.short(loose.word(trace, "ref"))
        where = f"{step} in trace" if step else "trace"
        rows.append((look, f"{where} {name}: {loose.word(trace, 'says')}", ""))
    if line := first.get("log_line"):
        ref, says = loose.word(line, "ref").removeprefix("sha256:"), loose.word(line, "says")
        rows.append(("?lines", _line(case, ref) or says, ""))
    return rows


def _line(case: Case | None, sha256: str) -> str:
    """The text of a line, empty when the telemetry does not hold it."""
    lines = case.pull("lines").data.to_dict("records") if case else []
    return next((_text(one) for one in lines if one["sha256"] == sha256), "")


def _text(line: Mapping[Hashable, Any]) -> str:
    said = dict.fromkeys((line["event"], dict(line["fields"]).get("error") or line["message"]))
    words = " ".join(str(word) for word in said if word)[:LONGEST]
    return f"{line['file']}:{line['line']} {line['level']} {words} ({line['sha256'][:16]})"


def _calm(drill: Drill | None, truth: Truth, found: Found) -> Row:
    """Where no metric, step or line tells: what tells it from nothing, or that nothing is there."""
    if not truth.is_fault:
        return ("?narrow", "No counter of trouble left its baseline.", "")
    apart = drill.look_alikes.get("none", "") if drill else ""
    if truth.causes[0] == UNKNOWN:
        return ("?preflight ?lines", apart or loose.word(found.verdict, "headline"), NO_METRIC)
    return ("?narrow", apart or "Which counters left their baseline, and which did not.", "")
