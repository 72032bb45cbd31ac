"""Post-mortem in Markdown: how does the draft read where people go on writing it?"""

from __future__ import annotations

from collections.abc import Iterator

from loomtriage.report.postmortem import (
    PEOPLE,
    TO_FILL,
    Postmortem,
    cause_words,
    rows_table,
    timeline,
)
from loomtriage.report.summary import commands, linked, places, word
from loomtriage.report.text import md, md_code

MAX_ROWS = 30


def markdown(report: Postmortem) -> str:
    """The same sections in the same order as the page; foreign text is escaped."""
    blocks = (
        *_head(report),
        *_what(report),
        *_how_known(report),
        *_why(report),
        *_after(report),
        *_people(),
    )
    return "\n\n".join(block for block in blocks if block) + "\n"


def _head(report: Postmortem) -> Iterator[str]:
    strip = report.strip
    yield f"# {word(strip.state)}: {md(strip.headline)}"
    yield f"{md(report.title)}, {md(report.generated)}"
    scope = " ".join(md_code(f"{key}={value}") for key, value in strip.scope)
    facts = (
        ("Status", "draft, written by a program from what was recorded"),
        ("Looked at", md(strip.window)),
        ("Compared with", md(strip.baseline)),
        ("Scope", scope),
        ("Made from", md_code(report.run)),
    )
    yield "\n".join(f"- **{name}:** {said}" for name, said in facts if said)


def _what(report: Postmortem) -> Iterator[str]:
    story = report.story
    yield "## Summary"
    yield from map(md, story.summary)
    yield "## Impact"
    yield "\n".join(f"- **{md(what)}:** {md(value)}" for what, value in story.impact) or (
        "No signal measured an impact."
    )
    yield "## Timeline"
    rows = [
        f"| {md(row.day)} {md(row.clock)} | {md(row.source)} | {md(row.says)} "
        f"| {md_code(row.query, in_table=True)} | {linked(row.url, row.where) or 'run folder'} |"
        for row in timeline(report)
    ]
    head = (
        "| time (UTC) | source | what | ask again with | where |\n| --- | --- | --- | --- | --- |"
    )
    yield "\n".join((head, *rows)) if rows else "No moment stands out."


def _how_known(report: Postmortem) -> Iterator[str]:
    yield "## Evidence"
    strip = report.strip
    rows = [
        f"| {md(e.kind)} | {md_code(e.ref, in_table=True)} | {md(e.says)} "
        f"| {places(e, otherwise='run folder')} |"
        for e in strip.evidence[:MAX_ROWS]
    ]
    head = "| kind | reference | says | where |\n| --- | --- | --- | --- |"
    yield "\n".join((head, *rows)) if rows else "No single trace, line or query is pointed at."
    hidden = strip.hidden + len(strip.evidence) - len(rows)
    yield f"{hidden} more pieces of evidence are in verdict.json." if hidden else ""


def _why(report: Postmortem) -> Iterator[str]:
    strip, story = report.strip, report.story
    yield "## Cause"
    sure = f", confidence {md(strip.confidence)}" if strip.confidence else ""
    yield f"{md(cause_words(strip))} {md_code(strip.cause)}{sure}"
    yield f"**No cause is named:** {md(strip.abstained)}" if strip.abstained else ""
    yield f"Failing step: {md_code(strip.step)}" if strip.step else ""
    also = ", ".join(map(md_code, strip.also))
    yield f"Wrong at the same time: {also}" if also else ""
    if story.because:
        yield "### What carries it"
        yield "\n".join(f"- {md(fact)}" for fact in story.because)
    if story.rejected:
        yield "### What was rejected"
        yield "\n".join(f"- **{md(name)}:** {md(why)}" for name, why in story.rejected)


def _after(report: Postmortem) -> Iterator[str]:
    strip, story = report.strip, report.story
    yield "## Actions"
    yield md(strip.advice)
    yield "\n".join(
        f"- [ ] **{md(doing.kind)}** {md(doing.says)} {commands(doing.command)} "
        f"(owner: \\_\\_\\_, due: \\_\\_\\_)"
        for doing in strip.doing
    )
    yield "## Close-out state"
    rows = rows_table(story)
    yield rows.markdown(MAX_ROWS) if rows.rows else md(rows.note)
    for table in report.closing:
        yield table.markdown(MAX_ROWS)
    yield "## What was missing"
    gaps = [f"- **{md(gap.signal)}** {md(gap.why)} {md(gap.hint)}" for gap in strip.gaps]
    gaps += [f"- {md(caveat)}" for caveat in report.caveats]
    yield "\n".join(gaps) or "No stage named anything missing."
    cover = ", ".join(f"{md(edge)} {md(said)}" for edge, said in strip.coverage)
    yield f"Coverage: {cover}" if cover else ""


def _people() -> Iterator[str]:
    yield "## For people"
    for name, what in PEOPLE:
        yield f"### {name}"
        yield f"> **{TO_FILL}** {what}".rstrip()
