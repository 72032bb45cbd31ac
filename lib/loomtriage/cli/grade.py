"""The command that grades the blind triage over drill runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from loomtriage.cli.options import Json, out_dir
from loomtriage.cli.terminal import printable
from loomtriage.errors import UsageError

app = typer.Typer()


@app.command()
def grade(
    folders: Annotated[
        list[str] | None, typer.Argument(help="Folders of run folders; yours by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """How often the triage named what the drills had done: confusion, chance, false alarms.

    Example: loomtriage grade runbooks/examples
    """
    from loomtriage.drills.grading import read_board
    from loomtriage.model.verdict import EXIT_OF_STATE

    chosen = [Path(text) for text in folders or ()] or [out_dir("")]
    for folder in chosen:
        if not folder.is_dir():
            raise UsageError(
                f"{str(folder)[:160]!r} is no folder of runs.",
                hint="Run drills first: loomtriage drill --all",
            )
    board = read_board(chosen)
    if as_json:
        print(json.dumps(board.as_json(), indent=1))
    else:
        print(printable(board.confusion().plain()), end="\n\n")
        print(printable(board.figures().plain()))
    raise typer.Exit(int(EXIT_OF_STATE[board.state]))
