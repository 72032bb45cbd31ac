"""The commands that grade the blind triage, over drills that ran and over rounds that are drawn."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated

import typer

from loomtriage.cli.options import Json, out_dir
from loomtriage.cli.shares import side_by_side
from loomtriage.cli.terminal import printable, say
from loomtriage.errors import UsageError

if TYPE_CHECKING:
    from loomtriage.train.pool import Recorded

app = typer.Typer()
Quick = Annotated[bool, typer.Option(help="Take verdicts as recorded, windows untouched.")]


@app.command()
def grade(  # noqa: PLR0913, PLR0917  (one parameter per documented option)
    folders: Annotated[
        list[str] | None, typer.Argument(help="Folders of run folders; yours by default.")
    ] = None,
    rounds: Annotated[int, typer.Option(help="Rounds to draw; 0 grades each run once.", min=0)] = 0,
    seed: Annotated[int, typer.Option(help="Draws the rounds.", min=0)] = 0,
    live: Annotated[int, typer.Option(help="How many of them are performed now.", min=0)] = 0,
    labs: Annotated[int, typer.Option(help="Labs side by side.", min=1, max=8)] = 2,
    quick: Quick = False,
    as_json: Json = False,
) -> None:
    """How often the triage was right, blind; with --rounds beside two dumb baselines.

    Example: loomtriage grade runbooks/examples --rounds 20 --seed 7
    """
    from loomtriage.drills.grading import read_board
    from loomtriage.model.verdict import EXIT_OF_STATE
    from loomtriage.settings import shipped

    usual = shipped("runbooks/examples") if rounds else out_dir("")
    chosen = [Path(text) for text in folders or ()] or [usual]
    for folder in chosen:
        if not folder.is_dir():
            raise UsageError(
                f"{str(folder)[:160]!r} is no folder of runs.",
                hint="Run drills first: loomtriage drill --all",
            )
    if rounds:
        performed = _performed(min(live, rounds), seed, labs) if live else ()
        _contest(chosen, rounds - min(live, rounds), seed, performed, quick=quick, as_json=as_json)
    board = read_board(chosen)
    if as_json:
        print(json.dumps(board.as_json(), indent=1))
    else:
        print(printable(board.confusion().plain()), end="\n\n")
        print(printable(board.cross().plain()), end="\n\n")
        if board.spread().rows:
            print(printable(board.spread().plain()), end="\n\n")
        print(printable(board.figures().plain()))
    raise typer.Exit(int(EXIT_OF_STATE[board.state]))


def _contest(  # noqa: PLR0913  (the command's own options)
    folders: Sequence[Path],
    rounds: int,
    seed: int,
    performed: Sequence[Recorded],
    *,
    quick: bool,
    as_json: bool,
) -> None:
    """Hold a contest, show it, and leave with its exit code."""
    from loomtriage.model.verdict import EXIT_OF_STATE
    from loomtriage.train.contest import hold
    from loomtriage.train.pool import recorded_runs

    pool = [run for folder in folders for run in recorded_runs(folder)]
    contest = hold(pool, rounds=rounds, seed=seed, performed=performed, again=not quick, say=say)
    if as_json:
        print(json.dumps(contest.as_json(), indent=1))
    else:
        if contest.misses().rows:
            print(printable(contest.misses().plain()), end="\n\n")
        print(printable(contest.figures().plain()))
    raise typer.Exit(int(EXIT_OF_STATE[contest.state]))


def _performed(live: int, seed: int, labs: int) -> tuple[Recorded, ...]:
    """Draw drills, perform them in labs side by side, and read their runs back."""
    from loomtriage.drills.book import DRILLS
    from loomtriage.train.pool import pick, recorded_runs

    draw = Random(f"live {seed}")  # noqa: S311  (variety, no secret)
    drills = [DRILLS.get(name, noun="drill") for name in DRILLS]
    names = [pick(drills, lambda one: one, level=None, draw=draw).id for _ in range(live)]
    runs = out_dir("")
    runs.mkdir(parents=True, exist_ok=True)
    out = Path(tempfile.mkdtemp(prefix=f"grade-{seed}-", dir=runs))
    say(f"{live} live rounds in {labs} labs; their runs are in {out.name}.")
    # A lab is worth its start for a share of drills; each share has numbers of its own.
    size = max(1, min(10, -(-live // labs)))
    shares = [names[first : first + size] for first in range(0, live, size)]
    for first in range(0, len(shares), labs):
        options = [f"--seed={seed * 1000 + first}"]
        side_by_side(shares[first : first + labs], options, out=out)
    found = recorded_runs(out)
    say(f"{len(found)} of {live} live rounds proved their fault; the others do not count.")
    return found
