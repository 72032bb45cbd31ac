"""Runbooks: which notebooks are there, for which cause, and how is each of them run?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from loomtriage.drills.drill import Drill

HEAD = """# Runbooks

Written by `loomtriage publish` from the notebooks and the drill book; edits here are lost.

Every notebook plays back a recorded run until it is given another `source`."""
STAGES = """## Stages

The path of an investigation, in its order: `loomtriage path` runs preflight to close.
The commands play back a recorded run, offline."""
DRILL_PART = """## Drills

Faults with a known answer, in teaching order. The commands perform them in a lab of their own.
The example is a recorded run of the drill: verdict, report and raw answers."""


def runbooks_page(
    stages: Iterable[Path], drills: Mapping[str, Drill], *, examples: Iterable[str]
) -> str:
    """`runbooks/README.md`.

    Args:
        stages: the stage notebooks.
        drills: by id, in teaching order.
        examples: ids of the recorded examples.
    """
    known = set(examples)
    first = next((name for name in drills if name in known), "")
    stage_rows = [_stage(path, example=first) for path in stages]
    drill_rows = [_drill(drill, recorded=name in known) for name, drill in drills.items()]
    parts = (
        HEAD,
        STAGES,
        _table(("notebook", "title", "command"), stage_rows),
        DRILL_PART,
        _table(("drill", "title", "cause", "command", "example"), drill_rows),
    )
    return "\n\n".join(parts) + "\n"


def _stage(path: Path, *, example: str) -> tuple[str, ...]:
    about = json.loads(path.read_bytes())["metadata"]["loomtriage"]
    link = f"[{about['id']}](../notebooks/{path.name})"
    command = f"`loomtriage run {about['stage']} --source example:{example}`"
    return link, about["title"], command if about["stage"] else ""


def _drill(drill: Drill, *, recorded: bool) -> tuple[str, ...]:
    return (
        f"[{drill.id}](../notebooks/drills/{drill.id}.ipynb)",
        drill.title,
        ", ".join(f"`{cause}`" for cause in (drill.cause, *drill.accept)),
        f"`loomtriage drill {drill.id}`",
        f"[report](examples/{drill.id}/report.html), [summary](examples/{drill.id}/summary.md)"
        if recorded
        else "not recorded yet",
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
