"""The report of one run: a single page that needs nothing else, and a summary in Markdown."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from loomtriage.model import State, Verdict
from loomtriage.report import exam, latency, links, loose, strip
from loomtriage.report.canvas import Chart
from loomtriage.report.summary import Part, Summary, write
from loomtriage.report.tables import Table
from loomtriage.report.terms import TERMS
from loomtriage.report.text import LABEL, clean, text

CSP = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""Nothing loads, nothing runs, nothing is sent: the second lock behind the escaping."""

_COMMAND = re.compile(r"(loomtriage|make|curl|docker|jupyter|python|psql)\s")
_NOT_ID = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One stage's part of the page.

    Attributes:
        id: stage id.
        title: heading.
        verdict: what the stage came to.
        charts: pictures, best first.
        tables: tables, best first.
        caveats: stated limits of what the stage saw, one sentence each.
        seconds: how long the stage took.
    """

    id: str
    title: str
    verdict: Verdict
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    caveats: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that the report of one run shows.

    Attributes:
        title: what this is the report of.
        verdict_json: what goes to `verdict.json`, its commands fitted to the source of the run; the
            strip is made from it alone.
        sections: one per stage, in the order of the path.
        drill: what a drill left, None outside drills; unknown and missing keys are fine.
        generated_at: aware UTC.
        sources: pairs of name and value for the appendix (addresses, versions). Their http(s)
            addresses, and loopback, are the only places that evidence may link to.
        next_steps: commands or sentences.
    """

    title: str
    verdict_json: Mapping[str, object]
    sections: tuple[Section, ...] = ()
    drill: Mapping[str, object] | None = None
    generated_at: datetime
    sources: tuple[tuple[str, str], ...] = ()
    next_steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A chart as the page shows it; without `uri` only its note is shown."""

    title: str
    alt: str
    note: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A section as the page shows it."""

    anchor: str
    title: str
    state: State
    headline: str
    rows: tuple[strip.Row, ...]
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...]
    caveats: tuple[str, ...]
    seconds: str


def html(page: Page) -> str:
    """The page as one HTML file: no script, no request, no markup from foreign text."""
    return render(page, environment())


@cache
def environment() -> Environment:
    """The house's template environment: escapes everything, forgives nothing."""
    return Environment(
        loader=PackageLoader("loomtriage.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def visible(value: object) -> object:
    """Clean whatever a template prints, so that forgetting it elsewhere does no harm."""
    return value if isinstance(value, Markup) else clean(str(value), lines=True)


def render(page: Page, templates: Environment) -> str:
    """The page through these templates; `html` uses the house's own."""
    origins = _origins(page)
    return templates.get_template("report.html.j2").render(
        csp=CSP,
        title=text(page.title, limit=200),
        generated=f"{page.generated_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        strip=strip.read(page.verdict_json, origins),
        schema=loose.word(page.verdict_json, "schema"),
        blocks=_blocks(page),
        exam=exam.read(page.drill) if page.drill is not None else None,
        seen=_seen(page),
        sources=[(text(name, limit=120), text(value, limit=400)) for name, value in page.sources],
        next_steps=_steps(page),
        terms=TERMS,
    )


def markdown(page: Page) -> str:
    """The summary for a chat or a pull request: same order, no pictures, foreign text escaped."""
    return write(
        Summary(
            title=page.title,
            generated=f"{page.generated_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
            strip=strip.read(page.verdict_json, _origins(page)),
            parts=tuple(_part(block) for block in _blocks(page)),
            exam=exam.read(page.drill) if page.drill is not None else None,
            next_steps=_steps(page),
        )
    )


def _origins(page: Page) -> frozenset[str]:
    return frozenset(filter(None, (links.origin(str(value)) for _, value in page.sources)))


def _seen(page: Page) -> Picture | None:
    """When each signal saw the drill's fault, None outside drills."""
    chart = latency.chart(page.drill.get("latency")) if page.drill is not None else None
    return picture(chart) if chart else None


def _steps(page: Page) -> tuple[tuple[str, bool], ...]:
    """Each next step, and whether it is a command."""
    return tuple(
        (text(step, lines=True), _COMMAND.match(step) is not None) for step in page.next_steps
    )


def _blocks(page: Page) -> tuple[Block, ...]:
    """One block per stage; a page without stages shows the verdict's own findings."""
    rows = () if page.sections else strip.rows_of(page.verdict_json)
    if not rows:
        return tuple(_block(index, section) for index, section in enumerate(page.sections, 1))
    return (
        Block(
            anchor="findings",
            title="Findings",
            state=loose.state(page.verdict_json.get("state")),
            headline="",
            rows=rows,
            pictures=(),
            tables=(),
            caveats=(),
            seconds="",
        ),
    )


def _block(index: int, section: Section) -> Block:
    return Block(
        anchor=f"s{index}-{_NOT_ID.sub('-', section.id.lower())[:40].strip('-')}",
        title=text(section.title, limit=120),
        state=section.verdict.state,
        headline=text(section.verdict.headline, limit=400),
        rows=tuple(strip.row(finding) for finding in section.verdict.findings),
        pictures=tuple(picture(chart) for chart in section.charts),
        tables=_tables(section),
        caveats=tuple(text(sentence) for sentence in section.caveats),
        seconds=loose.length(section.seconds) if section.seconds > 0 else "",
    )


def _part(block: Block) -> Part:
    return Part(
        title=block.title,
        state=block.state,
        headline=block.headline,
        rows=block.rows,
        tables=block.tables,
        caveats=block.caveats,
    )


def _tables(section: Section) -> tuple[Table, ...]:
    """The stage's tables, and its suspects unless one of the tables shows them."""
    tables = section.tables
    if section.verdict.suspects and not any(table.id == "suspects" for table in tables):
        tables = (_suspects(section.verdict), *tables)
    return tuple(
        replace(
            table,
            title=text(table.title, limit=300),
            columns=tuple(text(name, limit=LABEL) for name in table.columns),
        )
        for table in (one.trimmed() for one in tables)
    )


def _suspects(verdict: Verdict) -> Table:
    rows = tuple(
        (
            suspect.what,
            loose.number(suspect.observed, suspect.unit),
            loose.number(suspect.expected, suspect.unit),
            loose.number(suspect.score),
        )
        for suspect in verdict.suspects
    )
    columns = ("suspect", "observed", "expected", "score")
    return Table(id="suspects", title="Suspects, strongest first", columns=columns, rows=rows)


def picture(chart: Chart) -> Picture:
    """A chart as the page shows it, its bytes inside."""
    uri, (width, height) = _packed(chart.png)
    return Picture(
        title=text(chart.title, limit=300),
        alt=text(chart.alt),
        note=text(chart.note),
        uri=uri,
        width=width,
        height=height,
    )


def _packed(png: bytes) -> tuple[str, tuple[int, int]]:
    """The picture inside the page, and its size in pixels; what is no picture is none.

    As WebP it is the same to the pixel and a quarter smaller, and runs are kept.
    """
    from PIL import Image

    out = io.BytesIO()
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as drawn:
            drawn.convert("RGB").save(out, "webp", lossless=True, quality=75, method=3)
    except (OSError, SyntaxError, ValueError):
        return "", (0, 0)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode("ascii"), drawn.size
