"""The command that says what runs, what is silent, and what would fix it."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from loomtriage.cli.options import Json, Source
from loomtriage.cli.terminal import printable

app = typer.Typer()


@app.command()
def doctor(source: Source = "live", as_json: Json = False) -> None:
    """Ask every source for a sign of life and print what would fix each silence.

    Example: loomtriage doctor --source lab
    """
    from loomtriage.stages.checkup import checkup

    verdict = checkup(source)
    if as_json:
        print(json.dumps(asdict(verdict), indent=1, default=str))
    else:
        print(printable(str(verdict)))
    raise typer.Exit(int(verdict.exit_code))
