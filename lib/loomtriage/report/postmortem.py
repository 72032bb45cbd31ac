"""Post-mortem draft: how does one incident read to somebody who was not there?

The order is that of the SRE book: what happened, whom it hurt, when, how we know, why, what to
do, what is open, what was missing. What no machine can know is left empty and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

from loomtriage.report import links, loose, strip
from loomtriage.report.canvas import Chart
from loomtriage.report.page import CSP, environment, picture
from loomtriage.report.tables import Table
from loomtriage.report.text import text

_WORDS = re.compile(r"\w+")
TO_FILL = "To be filled by a person."
PEOPLE: tuple[tuple[str, str], ...] = (
    ("Authors and people involved", "Who wrote this, who was on call, who helped."),
    ("Impact on users", "What users saw, how many, for how long; no signal here measures it."),
    ("How it was noticed", "An alert, a person, by chance? How long after the onset?"),
    ("Root cause in words", "Why it could happen; the cause above says only what happened."),
    ("What went well", ""),
    ("What went wrong", ""),
    ("Where we got lucky", ""),
)
"""Sections that only people can write, and what belongs into each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One row of the timeline.

    Attributes:
        at: ISO 8601, UTC.
        source: the signal that says so.
        says: what happened.
        query: what to ask for to see the same again.
        url: where to see it, empty when there is no server to ask.
    """

    at: str
    source: str
    says: str
    query: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What an incident adds to its verdict, in words ready to show.

    Attributes:
        summary: sentences.
        impact: pairs of what and how much, with sample size.
        timeline: in order of time.
        because: facts that carry the cause.
        rejected: pairs of a cause that looks alike and what ruled it out.
        rows: of the outbox by status (projection, status, rows, oldest, what it means).
        rows_note: when the outbox was asked, or why it says nothing.
        caveats: stated limits of what was looked at.
    """

    summary: tuple[str, ...]
    impact: tuple[tuple[str, str], ...]
    timeline: tuple[Moment, ...]
    because: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]
    rows_note: str
    caveats: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """The form that a stage's result file carries."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Story:
        """The story back from a stage's result file; parts that are missing are empty."""
        told: dict[str, object] = {f.name: () for f in fields(cls)}
        for name in ("summary", "because", "caveats"):
            told[name] = tuple(map(str, loose.items(content.get(name))))
        for name, width in (("impact", 2), ("rejected", 2), ("rows", 5)):
            rows = (tuple(map(str, loose.items(row))) for row in loose.items(content.get(name)))
            told[name] = tuple((*row, *[""] * width)[:width] for row in rows)
        told["rows_note"] = str(content.get("rows_note", ""))
        told["timeline"] = tuple(
            Moment(**{f.name: str(entry.get(f.name, "")) for f in fields(Moment)})
            for entry in loose.maps(content.get("timeline"))
        )
        return cls(**told)  # type: ignore[arg-type]  # built field by field above


@dataclass(frozen=True, slots=True, kw_only=True)
class Postmortem:
    """Everything that an incident report shows.

    Attributes:
        title: what this is the report of.
        run: id of the run it was made from.
        verdict_json: content of that run's `verdict.json`.
        story: what the incident stage added.
        charts: pictures of the evidence, best first.
        closing: tables of what became of the failed rows, from the stages that looked.
        generated_at: aware UTC.
        sources: pairs of name and value, as on the triage report.
    """

    title: str
    run: str
    verdict_json: Mapping[str, object]
    story: Story
    charts: tuple[Chart, ...] = ()
    closing: tuple[Table, ...] = ()
    generated_at: datetime
    sources: tuple[tuple[str, str], ...] = ()

    @property
    def strip(self) -> strip.Strip:
        """What the verdict says, with links only to this run's own sources."""
        return strip.read(self.verdict_json, self.origins)

    @property
    def origins(self) -> frozenset[str]:
        """The places that may be linked to."""
        return frozenset(filter(None, (links.origin(str(value)) for _, value in self.sources)))

    @property
    def caveats(self) -> tuple[str, ...]:
        """Stated limits, without those that what was missing says already."""
        gaps = [_letters(gap.why) for gap in self.strip.gaps]
        return tuple(
            caveat
            for caveat in self.story.caveats
            if not any(_letters(text(caveat)) in gap for gap in gaps)
        )

    @property
    def generated(self) -> str:
        """When the report was made, for reading."""
        return f"{self.generated_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A moment as the page shows it; `url` is empty unless it may be a link."""

    day: str
    clock: str
    source: str
    says: str
    query: str
    url: str
    where: str


def html(report: Postmortem) -> str:
    """The report as one HTML file: no script, no request, no markup from foreign text."""
    return (
        environment()
        .get_template("postmortem.html.j2")
        .render(
            csp=CSP,
            title=text(report.title, limit=200),
            run=text(report.run, limit=200),
            generated=report.generated,
            strip=report.strip,
            story=report.story,
            caveats=report.caveats,
            timeline=timeline(report),
            pictures=tuple(picture(chart) for chart in report.charts),
            cause=cause_words(report.strip),
            rows=rows_table(report.story),
            closing=report.closing,
            people=PEOPLE,
            to_fill=TO_FILL,
            sources=[
                (text(name, limit=120), text(value, limit=400)) for name, value in report.sources
            ],
        )
    )


def _letters(sentence: str) -> str:
    """A sentence as far as its words go, to find it in another."""
    return " ".join(_WORDS.findall(sentence))


def cause_words(read: strip.Strip) -> str:
    """The cause as a sentence begins."""
    words = read.cause_title or read.cause
    return words[:1].upper() + words[1:]


def timeline(report: Postmortem) -> tuple[Row, ...]:
    """The moments ready to show: the day once, then clock times."""
    found: list[Row] = []
    last = ""
    for moment in report.story.timeline:
        at = loose.instant(moment.at)
        day = f"{at:%Y-%m-%d}" if at else ""
        linked = links.allowed(moment.url, report.origins)
        found.append(
            Row(
                day=day if day != last else "",
                clock=f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}Z" if at else text(moment.at),
                source=text(moment.source, limit=40),
                says=text(moment.says),
                query=text(moment.query, limit=600),
                url=moment.url if linked else "",
                where=_where(moment.url) if linked else "",
            )
        )
        last = day
    return tuple(found)


def _where(url: str) -> str:
    """What the link leads to, and on which host."""
    kind = "trace" if "/trace/" in url else "graph" if "/graph?" in url else "page"
    return f"{kind} on {links.host(url)}"


def rows_table(story: Story) -> Table:
    """Outbox rows by what became of them."""
    return Table(
        id="rows",
        title="Outbox rows",
        columns=("projection", "status", "rows", "oldest (UTC)", "means"),
        rows=story.rows,
        note=story.rows_note,
    )
