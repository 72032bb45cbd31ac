"""What does `verdict.json` say, in words ready to show?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from loomtriage.contract.causes import BY_ID
from loomtriage.model import Finding, State
from loomtriage.model.finding import PLACES
from loomtriage.report import links, loose
from loomtriage.report.text import text

CAUSE = "explain.cause"
"""The check that names the cause: that it could name none is said by the headline."""
SCOPE_KEYS = ("env", "projection", "op", "reason", "result")
_ALONGSIDE = frozenset(PLACES) - {"graph", "search"}
"""Places that lead to what the evidence before them shows; others show something of their own."""
WOULD_HELP = ("hint", "appears", "would_appear", "appear", "fix", "do")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """One thing to do: its kind, a sentence, the exact command; each may be empty."""

    kind: str
    says: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A signal that is missing, why, and what would make it appear."""

    signal: str
    why: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """One piece of evidence; `url` is empty unless it may be a link, `where` is its text.

    `places` are more links to the same thing: the word to show, and the address.
    """

    kind: str
    short: str
    ref: str
    says: str
    url: str
    where: str
    places: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One finding as a table row."""

    state: State
    check: str
    says: str
    value: str
    threshold: str
    n: str
    refs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The verdict strip and what stands under it."""

    state: State
    headline: str
    cause: str
    cause_title: str
    also: tuple[str, ...]
    confidence: str
    abstained: str
    scope: tuple[tuple[str, str], ...]
    step: str
    window: str
    baseline: str
    advice: str
    doing: tuple[Doing, ...]
    gaps: tuple[Gap, ...]
    evidence: tuple[Pointer, ...]
    hidden: int
    coverage: tuple[tuple[str, str], ...]


def read(verdict: Mapping[str, object], origins: Iterable[str] = ()) -> Strip:
    """Read a verdict; parts that are missing are empty, odd ones are shown as text.

    Args:
        verdict: what goes to `verdict.json`.
        origins: origins of the configured sources, which may be linked to.
    """
    # Stages that look for no cause ask for nothing: they have none to miss.
    is_aside = verdict.get("actions") == [] and verdict.get("cause") == "unknown"
    named = {} if is_aside else verdict
    cause = BY_ID.get(str(named.get("cause", "")))
    step = loose.mapping(verdict.get("step"))
    scope = loose.mapping(verdict.get("scope"))
    places = frozenset(origins)
    doing = tuple(_doing(entry) for entry in loose.maps(verdict.get("actions")))
    return Strip(
        state=loose.state(verdict.get("state")),
        headline=text(verdict.get("headline"), limit=400) or "No headline.",
        cause=text(named.get("cause"), limit=60),
        cause_title=cause.title if cause else "",
        also=tuple(text(entry, limit=60) for entry in loose.items(verdict.get("also"), limit=10)),
        confidence=loose.share(named.get("confidence")),
        abstained=_unsaid(_abstained(named), loose.word(verdict, "headline")),
        scope=tuple((key, loose.word(scope, key)) for key in SCOPE_KEYS if loose.word(scope, key)),
        step=" › ".join(
            loose.word(step, k) for k in ("service", "operation") if loose.word(step, k)
        ),
        window=loose.window(verdict.get("window")),
        baseline=loose.window(verdict.get("baseline")),
        advice=cause.do if cause and all(cause.do not in entry.says for entry in doing) else "",
        doing=doing,
        gaps=_gaps(
            entry
            for entry in loose.items(verdict.get("missing"))
            if loose.mapping(entry).get("check") != CAUSE
        ),
        evidence=_pointers(loose.maps(verdict.get("evidence")), places),
        hidden=loose.beyond(verdict.get("evidence")),
        coverage=tuple(_coverage(verdict.get("coverage"))),
    )


def row(finding: Finding) -> Row:
    """One finding for the table of its stage."""
    proofs = [one for one in finding.evidence if one.kind not in _ALONGSIDE]
    refs = (f"{one.kind.replace('_', ' ')}: {one.ref}" for one in proofs[:3])
    return Row(
        state=finding.state,
        check=text(finding.check, limit=80),
        says=text(finding.says),
        value=loose.number(finding.value, finding.unit),
        threshold=loose.number(finding.threshold, finding.unit),
        n=loose.number(finding.n),
        refs=tuple(loose.short(text(ref, limit=300)) for ref in refs),
    )


def rows_of(verdict: Mapping[str, object]) -> tuple[Row, ...]:
    """The findings of a verdict alone, for a page without stages."""
    return tuple(
        Row(
            state=loose.state(entry.get("state")),
            check=loose.word(entry, "check"),
            says=loose.word(entry, "says"),
            value=loose.number(entry.get("value"), loose.word(entry, "unit")),
            threshold=loose.number(entry.get("threshold"), loose.word(entry, "unit")),
            n=loose.word(entry, "n", "sample_size", "sample size"),
            refs=(),
        )
        for entry in loose.maps(verdict.get("findings"))
    )


def pointer(entry: Mapping[str, object], origins: frozenset[str]) -> Pointer:
    """One piece of evidence; only an address that we may link keeps its `url`."""
    ref = text(entry.get("ref"), limit=600)
    raw = entry.get("url")
    url = raw if isinstance(raw, str) else ""
    linked = links.allowed(url, origins)
    return Pointer(
        kind=text(entry.get("kind"), limit=40).replace("_", " "),
        short=loose.short(ref),
        ref=ref,
        says=loose.word(entry, "says"),
        url=url if linked else "",
        where=links.host(url) if linked else text(url, limit=300),
    )


def _pointers(
    entries: Iterable[Mapping[str, object]], origins: frozenset[str]
) -> tuple[Pointer, ...]:
    """Evidence; what is only another place to see the same thing joins what stands before it."""
    found: list[Pointer] = []
    for entry in entries:
        one = pointer(entry, origins)
        if one.kind in _ALONGSIDE and one.url and found:
            last = found[-1]
            found[-1] = replace(last, places=(*last.places, (one.kind, one.url)))
        else:
            found.append(one)
    return tuple(found)


def _abstained(verdict: Mapping[str, object]) -> str:
    value = verdict.get("abstained")
    if isinstance(value, Mapping):
        return loose.word(value, "why") or "no reason given"
    if isinstance(value, bool):
        return (loose.word(verdict, "why") or "no reason given") if value else ""
    return text(value) if isinstance(value, str) else ", ".join(map(text, loose.items(value)))


def _unsaid(why: str, headline: str) -> str:
    """What of the reason the headline above it does not say already."""
    said = headline.partition(": ")[2]
    if not said or not why.startswith(said):
        return why
    return why.removeprefix(said).lstrip("; ") or "for the reason above"


def _doing(entry: Mapping[str, object]) -> Doing:
    return Doing(
        kind=loose.word(entry, "kind").replace("_", " "),
        says=loose.word(entry, "says", "do", "why"),
        command=text(entry.get("command"), lines=True).strip(),
    )


def _gaps(entries: Iterable[object]) -> tuple[Gap, ...]:
    """What was missing, each thing once: where one stage says more of it than another, as it does.

    Several stages ask the same signal.
    """
    told = tuple(dict.fromkeys(map(_gap, entries)))
    longer = {(more.signal, gap.why) for gap in told for more in told if _is_more(more, gap)}
    return tuple(gap for gap in told if (gap.signal, gap.why) not in longer)


def _is_more(more: Gap, gap: Gap) -> bool:
    return more.signal == gap.signal and more.why != gap.why and more.why.startswith(gap.why)


def _gap(entry: object) -> Gap:
    if not isinstance(entry, Mapping):
        return Gap(signal=text(entry), why="", hint="")
    why = loose.word(entry, "why")
    return Gap(
        signal=loose.word(entry, "signal"),
        # One word is a name of the house (not_configured); in a sentence it may be a variable.
        why=why if " " in why else why.replace("_", " "),
        hint=loose.word(entry, *WOULD_HELP),
    )


def _coverage(value: object) -> Iterable[tuple[str, str]]:
    listed = [(loose.word(entry, "edge"), entry) for entry in loose.maps(value)]
    for edge, entry in (*loose.mapping(value).items(), *listed):
        name = text(edge, limit=60).replace("_to_", " → ").replace("→", " → ").replace("  ", " ")
        parts = loose.mapping(entry)
        known = loose.share(parts.get("share")) if parts else loose.share(entry)
        if loose.word(parts, "resolved") and loose.word(parts, "n") not in ("", "0"):
            counts = f"{loose.word(parts, 'resolved')} of {loose.word(parts, 'n')}"
            known = f"{known} ({counts})" if known else counts
        yield name, known or "nothing to resolve"
