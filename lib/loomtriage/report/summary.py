"""How does the report read in a chat or a pull request? Same order, no pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from loomtriage.model import State
from loomtriage.report.exam import Exam
from loomtriage.report.strip import Pointer, Row, Strip
from loomtriage.report.tables import Table
from loomtriage.report.text import md, md_code

MAX_ROWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One stage in the summary."""

    title: str
    state: State
    headline: str
    rows: tuple[Row, ...]
    tables: tuple[Table, ...]
    caveats: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything that the summary says; foreign text is escaped on writing.

    Each next step comes with whether it is a command.
    """

    title: str
    generated: str
    strip: Strip
    parts: tuple[Part, ...]
    exam: Exam | None
    next_steps: tuple[tuple[str, bool], ...]


def write(summary: Summary) -> str:
    """The summary as Markdown, ending in a newline."""
    blocks = [
        *_verdict(summary),
        *_evidence(summary.strip),
        *(block for part in summary.parts for block in _part(part)),
        *(_exam(summary.exam) if summary.exam else ()),
        *_next(summary),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _verdict(summary: Summary) -> Iterator[str]:
    strip = summary.strip
    yield f"# {word(strip.state)}: {md(strip.headline)}"
    yield f"{md(summary.title)}, {md(summary.generated)}"
    cause = md_code(strip.cause) + (f" {md(strip.cause_title)}" if strip.cause_title else "")
    scope = " ".join(md_code(f"{key}={value}") for key, value in strip.scope)
    facts = (
        ("Cause", cause),
        ("Also", ", ".join(map(md_code, strip.also))),
        ("Confidence", md(strip.confidence)),
        ("Abstained", md(strip.abstained)),
        ("Scope", scope),
        ("Step", md_code(strip.step)),
        ("Window", md(strip.window)),
        ("Baseline", md(strip.baseline)),
    )
    yield "\n".join(f"- **{name}:** {said}" for name, said in facts if said.strip())
    if strip.doing or strip.advice:
        yield "## What to do"
        yield md(strip.advice)
        yield "\n".join(
            f"{index}. {_join(md(doing.kind), md(doing.says), commands(doing.command))}"
            for index, doing in enumerate(strip.doing, 1)
        )
    if strip.gaps:
        yield "## What is missing"
        yield "\n".join(
            f"- {_join(f'**{md(gap.signal)}**', md(gap.why), md(gap.hint))}" for gap in strip.gaps
        )


def _evidence(strip: Strip) -> Iterator[str]:
    if strip.evidence:
        yield "## Evidence"
        shown = strip.evidence[: 2 * MAX_ROWS]
        cells = ((md(e.kind), md_code(e.ref, in_table=True), md(e.says), places(e)) for e in shown)
        rows = (f"| {' | '.join(row)} |" for row in cells)
        yield "\n".join(("| kind | reference | says | where |", "| --- | --- | --- | --- |", *rows))
        hidden = strip.hidden + len(strip.evidence) - len(shown)
        yield f"{hidden} more pieces of evidence are in verdict.json." if hidden else ""
    if strip.coverage:
        yield "Coverage: " + ", ".join(f"{md(edge)} {md(said)}" for edge, said in strip.coverage)


def places(one: Pointer, *, otherwise: str = "") -> str:
    """Where a piece of evidence can be seen: its own link, and the others beside it."""
    first = linked(one.url, one.where) or otherwise
    return " · ".join(filter(None, (first, *(linked(url, word) for word, url in one.places))))


def linked(url: str, where: str) -> str:
    """A link that was allowed before, else its text as code."""
    # Allowed addresses hold no angle bracket or space, so that this form cannot be left.
    return f"[{md(where)}](<{url.replace('|', '%7C')}>)" if url else md_code(where, in_table=True)


def _part(part: Part) -> Iterator[str]:
    yield f"## {word(part.state)}: {md(part.title)}"
    yield md(part.headline)
    if part.rows:
        rows = (
            f"| {word(row.state)} | {md(row.says)} | {md(row.value)} | {md(row.threshold)} "
            f"| {md(row.n)} |"
            for row in part.rows
        )
        head = ("| state | finding | value | threshold | n |", "| --- | --- | ---: | ---: | ---: |")
        yield "\n".join((*head, *rows))
    for table in part.tables:
        yield table.markdown(MAX_ROWS)
    yield "\n".join(f"- {md(caveat)}" for caveat in part.caveats)


def _exam(exam: Exam) -> Iterator[str]:
    yield f"## {word(exam.state)}: drill {md_code(exam.id)} {md(exam.title)}"
    yield md(exam.says)
    yield "\n".join(f"- {word(state)} {md(says)}" for state, says in exam.expectations)
    facts = [f"Witness: {md(entry)}" for entry in exam.witness]
    facts += [f"Lab: {md(exam.restored)}"] if exam.restored else []
    facts += [md(note) for note in exam.notes]
    yield "\n".join(f"- {fact}" for fact in facts)
    if exam.latency:
        yield exam.latency.markdown(MAX_ROWS)


def _next(summary: Summary) -> Iterator[str]:
    if summary.next_steps:
        yield "## Next"
        yield "\n".join(
            f"- {commands(step) if is_command else md(step)}"
            for step, is_command in summary.next_steps
        )


def word(state: State) -> str:
    """The state as people say it."""
    return state.value.replace("_", " ")


def _join(*parts: str) -> str:
    """What is said with what belongs to it: a colon, or a space where a sentence has ended."""
    said = ""
    for part in filter(None, parts):
        said += (" " if said.endswith((".", "!", "?")) else ": " if said else "") + part
    return said


def commands(command: str) -> str:
    """One or more lines of a shell as code spans."""
    return " <br> ".join(filter(None, map(md_code, command.splitlines())))
