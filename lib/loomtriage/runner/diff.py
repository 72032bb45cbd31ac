"""Diff: what changed between two runs, before and after a fix?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from loomtriage.errors import BundleDamaged
from loomtriage.handover import before as handed_over
from loomtriage.handover import read_handover
from loomtriage.model import State
from loomtriage.report import loose
from loomtriage.report.tables import Table
from loomtriage.sources.manifest import read_manifest

HEAD = ("state", "cause", "confidence", "abstained", "headline")
SCOPE = ("env", "projection", "op", "reason", "result")
FIGURES = ("narrow.gauge.", "narrow.folding", "locate.", "retries.", "close.")
"""Checks whose numbers tell whether it got better, by the beginning of their name."""
FAILING = "rows that failed in the window"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is not the same in both runs; empty text where it is not there at all."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """Two runs side by side.

    Attributes:
        before, after: ids of the runs.
        windows: what each looked at, ISO 8601 UTC.
        baselines: what each took for usual, ISO 8601 UTC; empty where it had nothing.
        is_after: whether the second run's baseline does not end before the first one's window
            begins, so that trouble may be what it takes for usual.
        verdict: head, scope and step, only what differs.
        findings: state of each check that differs, with its sentence.
        figures: numbers of the headline checks of both, also those that are equal.
        says: one sentence.
    """

    before: str
    after: str
    windows: tuple[str, str]
    baselines: tuple[str, str]
    is_after: bool
    verdict: tuple[Change, ...]
    findings: tuple[Change, ...]
    figures: tuple[Change, ...]
    says: str

    def as_json(self) -> dict[str, object]:
        """The diff as plain data."""
        return asdict(self)

    def tables(self) -> tuple[Table, ...]:
        """Verdict, findings and figures, for a terminal, a page or Markdown."""
        parts = (
            ("verdict", "Verdict", self.verdict),
            ("findings", "Findings that changed", self.findings),
            ("figures", "Figures", self.figures),
        )
        return tuple(
            Table(
                id=f"diff-{name}",
                title=title,
                columns=("what", "before", "after"),
                rows=tuple((c.what, c.before or "-", c.after or "-") for c in changes),
            )
            for name, title, changes in parts
            if changes
        )


def diff(before: Path, after: Path) -> Diff:
    """Compare the verdicts of two run folders; both are verified first.

    Raises:
        UsageError: one of them is no run.
        BundleDamaged: one of them does not match its manifest, or has no verdict.
    """
    first, second = _verdict(before), _verdict(after)
    ours, theirs = _findings(first), _findings(second)
    one, two = read_manifest(before), read_manifest(after)
    usual = two.baseline_value
    is_after = usual is not None and usual.end > one.window_value.start
    return Diff(
        before=one.id,
        after=two.id,
        windows=(_bounds(one.window), _bounds(two.window)),
        baselines=(_bounds(one.baseline), _bounds(two.baseline)),
        is_after=is_after,
        verdict=tuple(_differing(_head(first), _head(second))),
        findings=tuple(_changed(ours, theirs)),
        figures=(*_failing(before, after), *_figures(ours, theirs)),
        says=_sentence(first, second, is_after=is_after),
    )


def _verdict(run: Path) -> Mapping[str, object]:
    manifest = read_manifest(run)
    manifest.verify(run)
    try:
        return dict(json.loads((run / "verdict.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        raise BundleDamaged(
            f"{run.name} has no verdict that can be read.", hint="Give a run that came to its end."
        ) from None


def _head(verdict: Mapping[str, object]) -> dict[str, str]:
    scope, step = loose.mapping(verdict.get("scope")), loose.mapping(verdict.get("step"))
    told = {name: _shown(verdict.get(name)) for name in HEAD}
    told |= {f"scope {name}": loose.word(scope, name) for name in SCOPE}
    told["step"] = " › ".join(filter(None, (loose.word(step, k) for k in ("service", "operation"))))
    told["also"] = ", ".join(map(str, loose.items(verdict.get("also"))))
    told["missing"] = ", ".join(
        sorted({loose.word(gap, "signal") for gap in loose.maps(verdict.get("missing"))})
    )
    return told


def _differing(ours: Mapping[str, str], theirs: Mapping[str, str]) -> Iterator[Change]:
    for what in dict.fromkeys((*ours, *theirs)):
        before, after = ours.get(what, ""), theirs.get(what, "")
        if before != after:
            yield Change(what=what, before=before, after=after)


def _findings(verdict: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    """By check, and by projection where one check speaks of several."""
    found: dict[str, Mapping[str, object]] = {}
    for finding in loose.maps(verdict.get("findings")):
        scope = loose.mapping(finding.get("scope"))
        check = loose.word(finding, "check")
        by_place = check.startswith("narrow.gauge.") and loose.word(scope, "projection")
        found[f"{check} on {by_place}" if by_place else check] = finding
    return found


def _changed(
    ours: Mapping[str, Mapping[str, object]], theirs: Mapping[str, Mapping[str, object]]
) -> Iterator[Change]:
    for check in dict.fromkeys((*ours, *theirs)):
        before, after = ours.get(check, {}), theirs.get(check, {})
        if before.get("state") != after.get("state"):
            yield Change(what=check, before=_told(before), after=_told(after))


def _failing(first: Path, second: Path) -> Iterator[Change]:
    """By the counters, as the narrow stage handed it over; nothing where no counter was there."""
    before, after = (_left_failing(run) for run in (first, second))
    if before or after:
        yield Change(what=FAILING, before=before, after=after)


def _left_failing(run: Path) -> str:
    return loose.number(handed_over(read_handover(run), "").get("failing_rows"), "rows")


def _figures(
    ours: Mapping[str, Mapping[str, object]], theirs: Mapping[str, Mapping[str, object]]
) -> Iterator[Change]:
    for check in dict.fromkeys((*ours, *theirs)):
        if not check.startswith(FIGURES):
            continue
        before, after = _number(ours.get(check, {})), _number(theirs.get(check, {}))
        if before or after:
            yield Change(what=check, before=before, after=after)


def _sentence(first: Mapping[str, object], second: Mapping[str, object], *, is_after: bool) -> str:
    before, after = (str(v.get("cause", "unknown")) for v in (first, second))
    state = loose.state(second.get("state"))
    if state in (State.NO_DATA, State.ERROR):
        return f"It was {before}; the second run cannot tell ({state})."
    if before == after:
        return f"Both runs say {after}." if after != "none" else "No fault in either run."
    if after == "none":
        by = ", judged by the time just before it" if is_after else ""
        return f"It was {before}; the second run finds no fault{by}."
    return f"It was {before}; now it is {after}."


def _told(finding: Mapping[str, object]) -> str:
    return f"{loose.word(finding, 'state')}: {loose.word(finding, 'says')}" if finding else ""


def _number(finding: Mapping[str, object]) -> str:
    value = loose.number(finding.get("value"), loose.word(finding, "unit"))
    n = loose.number(finding.get("n"))
    return f"{value} (n {n})" if value and n else value


def _bounds(window: Mapping[str, object] | None) -> str:
    return f"{loose.word(window, 'start')} to {loose.word(window, 'end')}" if window else ""


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
