"""Drill notebook: what does the page of one drill say, made from the drill's file alone?"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from importlib import import_module

from loomtriage.contract.causes import BY_ID
from loomtriage.drills import book
from loomtriage.drills.book import DRILLS
from loomtriage.drills.drill import Drill
from loomtriage.model import Signal
from loomtriage.publish.sheet import Cell, notebook_text
from loomtriage.publish.signs import Sign, reasons_of, signs_of
from loomtriage.publish.words import (
    expectation_in_words,
    faults_in_words,
    load_in_words,
    moves,
)

LIVE = """**Run it.** The cells below play back the recorded run.
To perform the drill live, in a lab of its own that is taken down afterwards:

```console
$ loomtriage drill {id}
```

`--seed 7` draws other numbers; `--no-inject` applies nothing and must end in `NO_DATA`.
After a crash `loomtriage recover` takes back whatever stands.
To look at a run of your own here, set `source` to `run:` and its folder."""
READ = """**Reading it.** The blind triage was given two windows and not the drill.
Zero is the witness, which rests on no signal.
What is `not seen` was seen by nobody, which is not the same as healthy."""


def drill_notebook(drill: Drill, story: str, *, after: str) -> str:
    """The notebook of a drill.

    Args:
        drill: as the book has it.
        story: the docstring of its file, which reads like an incident.
        after: id of the next drill in teaching order, empty for the last.
    """
    about = {
        "id": drill.id,
        "title": f"Drill: {drill.title}",
        "stage": "",
        "safety": "read_only",
        "needs": [str(signal) for signal in Signal],
        "next": after,
    }
    return notebook_text((*_told(drill, story), *_evidence(drill)), about=about)


def story_of(drill: Drill) -> str:
    """The docstring of a drill's file."""
    module = import_module(f"{book.__name__}.{drill.id}")
    return inspect.getdoc(module) or ""


def _told(drill: Drill, story: str) -> tuple[Cell, ...]:
    source = f'source: str = "example:{drill.id}"  # example:ID, or run:DIR for a run of your own'
    return (
        Cell(id="intro", source=_intro(drill, story)),
        Cell(id="parameters", tag="parameters", source=source),
        Cell(id="open", tag="hide-input", source="from loomtriage import show_drill"),
        Cell(id="happens", source=_happens(drill)),
        Cell(id="signals", source=_signals(drill)),
        Cell(id="look-alikes", source=_look_alikes(drill.look_alikes)),
        Cell(id="live", source=LIVE.format(id=drill.id)),
    )


def _evidence(drill: Drill) -> tuple[Cell, ...]:
    shown = (
        ("answer", 'result.table("answer")'),
        ("latency", 'result.table("latency")'),
        ("timeline", 'result.chart("latency")'),
        ("increase", 'result.chart("increase_by_reason")'),
        ("lag", 'result.chart("lag")'),
        ("waterfall", 'result.chart("waterfall")'),
        ("steps", 'result.table("steps")'),
    )
    return (
        Cell(id="verdict", tag="verdict", source="result = show_drill(source)\nresult.verdict"),
        Cell(id="read", source=READ),
        *(Cell(id=f"evidence-{name}", tag="evidence", source=code) for name, code in shown),
        Cell(id="do", source=_to_do(drill)),
        Cell(id="handover", tag="handover", source="result.next"),
    )


def _intro(drill: Drill, story: str) -> str:
    first, _, rest = story.partition("\n\n")
    return (
        f"# Drill: {drill.title}\n\n**{' '.join(first.split())}**\n\n{rest.strip()}\n\n"
        "Plays back a recorded run; changes nothing; about 5 s."
    )


def _happens(drill: Drill) -> str:
    return f"**What happens.**\n\n{_bullets(faults_in_words(drill))}\n\n{load_in_words(drill)}"


def _signals(drill: Drill) -> str:
    signs = signs_of(drill)
    told = expectation_in_words
    reasons = _bullets(reasons_of(drill))
    parts = (
        "**What you will see, signal by signal.**",
        _part("Metrics that move", [told(one) for one in drill.expect if moves(one)]),
        _part("Metrics that do not", [told(one) for one in drill.expect if not moves(one)]),
        _part("Traces", [sign.spans for sign in signs] or _quiet(signs, "span ends in an error")),
        _part("Logs", [sign.lines for sign in signs] or _quiet(signs, "line warns of a row")),
        f"In all three:\n\n{reasons}" if reasons else "",
    )
    return "\n\n".join(part for part in parts if part)


def _quiet(signs: tuple[Sign, ...], what: str) -> list[str]:
    return [] if signs else [f"no {what}; what gives it away stands under the look-alikes"]


def _look_alikes(look_alikes: Mapping[str, str]) -> str:
    rows = (
        f"| {_linked(cause)} | {BY_ID[cause].title} | {_cell(how)} |"
        for cause, how in look_alikes.items()
    )
    head = ("| looks like | which means | how to tell |", "| --- | --- | --- |")
    return "**Look-alikes.**\n\n" + "\n".join((*head, *rows))


def _linked(cause: str) -> str:
    return f"[`{cause}`]({cause}.ipynb)" if cause in DRILLS else f"`{cause}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _to_do(drill: Drill) -> str:
    cause = BY_ID[drill.cause]
    also = f" Right as well: {', '.join(f'`{name}`' for name in drill.accept)}."
    return (
        f"**What to do.** {drill.close_out}\n\n"
        f"The right answer is `{cause.id}`, {cause.title}: {cause.says} {cause.do}"
        + (also if drill.accept else "")
    )


def _part(title: str, lines: Iterable[str]) -> str:
    kept = [line for line in lines if line]
    return f"{title}:\n\n{_bullets(kept)}" if kept else ""


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
