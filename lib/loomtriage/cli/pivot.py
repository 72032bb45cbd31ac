"""The command that follows one id through spans, outbox rows and log lines."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from loomtriage.cli.options import (
    Baseline,
    End,
    Env,
    Last,
    Projection,
    Source,
    Start,
    parameters_of,
)
from loomtriage.cli.terminal import printable
from loomtriage.errors import Exit

app = typer.Typer()
MAX_ROWS = 25
"""Shown of each table in a terminal; `--json` gives every id."""


@app.command()
def pivot(  # noqa: PLR0913, PLR0917  (one parameter per documented option)
    value: Annotated[
        str, typer.Argument(help="A correlation, trace, span, outbox event, batch or entity id.")
    ],
    source: Source = "live",
    start: Start = "",
    end: End = "",
    last: Last = "",
    baseline: Baseline = "",
    env: Env = "",
    projection: Projection = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the hops as JSON.")] = False,
) -> None:
    """Follow one id: its trace, its outbox rows, its log lines, and back.

    Example: loomtriage pivot checkout-42 --source lab
    """
    parameters = parameters_of(
        source=source,
        start=start,
        end=end,
        last=last,
        baseline=baseline,
        env=env,
        projection=projection,
    )
    from loomtriage.case import open_case
    from loomtriage.pivoting import pivot as follow

    found = follow(open_case("pivot", **parameters), value)
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        for table in found.tables:
            if table.rows:
                print(printable(table.plain(MAX_ROWS)), end="\n\n")
        for note in found.caveats:
            print(printable(note))
    raise typer.Exit(int(Exit.OK if found.is_found else Exit.NO_DATA))
