"""The command that performs drills, in one lab or in several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from json import dumps
from typing import TYPE_CHECKING, Annotated

import typer

from loomtriage.cli.options import JsonLines, Out, out_dir, worker_command
from loomtriage.cli.shares import shares_of, side_by_side
from loomtriage.cli.terminal import printable, relative, say, shown
from loomtriage.errors import TriageError, UsageError

if TYPE_CHECKING:
    from loomtriage.drills.session import Order, Session

app = typer.Typer()
Names = Annotated[list[str] | None, typer.Argument(help="Ids of drills, or nothing with --all.")]
Worker = Annotated[
    str, typer.Option(help="Command of somebody else's worker, run in place of ours.")
]
Labs = Annotated[int, typer.Option(help="Labs side by side, each with its share.", min=1, max=8)]


@app.command()
def drill(  # noqa: PLR0913, PLR0917  (one parameter per documented option)
    names: Names = None,
    every: Annotated[bool, typer.Option("--all", help="All drills of the book.")] = False,
    seed: Annotated[int, typer.Option(help="Draws load, onset, variant and numbers.", min=0)] = 0,
    repeat: Annotated[int, typer.Option(help="Rounds, each with the next seed.", min=1)] = 1,
    labs: Labs = 1,
    lab: Annotated[str, typer.Option(help="Use this running lab instead of an own one.")] = "",
    inject: Annotated[bool, typer.Option(help="--no-inject: apply nothing, as a control.")] = True,
    worker_cmd: Worker = "",
    example: Annotated[bool, typer.Option(help="Keep the run as the drill's example.")] = False,
    out: Out = "",
    as_json: JsonLines = False,
) -> None:
    """Drills end to end in a lab of their own: fault, blind triage, restore, verdict.

    Example: loomtriage drill es_down
    """
    from loomtriage.drills.fault import Inject
    from loomtriage.drills.session import Order
    from loomtriage.runner.folder import refuse_unwritable

    chosen, command = _chosen(names or (), every=every), worker_command(worker_cmd)
    if lab and (labs > 1 or worker_cmd):
        raise UsageError(
            "--lab excludes --labs and --worker-cmd.",
            hint="A running lab has its worker: `loomtriage lab up --load 0 --worker-cmd`.",
        )
    where, asked = out_dir(out), len(chosen) * repeat
    refuse_unwritable(where)
    performed: list[Mapping[str, object]] = []
    try:
        if labs > 1 and asked > 1:
            options = ["--example"] * example + ["--no-inject"] * (not inject)
            options += [f"--worker-cmd={worker_cmd}"] * bool(worker_cmd)
            shares = shares_of(chosen, seed=seed, repeat=repeat, labs=labs)
            code = side_by_side(shares, options, out=where, as_json=as_json, heard=performed)
        else:
            kind = Inject.REAL if inject else Inject.NOOP
            order = Order(lab_name=lab, inject=kind, worker_cmd=command, out=where)
            rounds = [replace(order, seed=number) for number in range(seed, seed + repeat)]
            code = _perform(chosen, rounds, performed, example=example, json=as_json)
    finally:
        if asked > 1 and performed and not as_json:
            _show_summary(performed, asked=asked)
    raise typer.Exit(code)


def _chosen(names: Sequence[str], *, every: bool) -> tuple[str, ...]:
    from loomtriage.drills.book import DRILLS

    if every == bool(names):
        raise UsageError("Give the ids of drills, or --all.", hint=f"Drills: {', '.join(DRILLS)}.")
    for name in names:
        DRILLS.get(name, noun="drill")
    return tuple(DRILLS) if every else tuple(names)


def _perform(
    names: Sequence[str],
    rounds: Sequence[Order],
    performed: list[Mapping[str, object]],
    *,
    example: bool,
    json: bool,
) -> int:
    """Perform drills one after the other and keep what each came to; the exit code of all."""
    from loomtriage.drills.session import run_drills
    from loomtriage.drills.summary import exit_code_of

    is_only = len(names) * len(rounds) == 1
    failed: TriageError | None = None
    try:
        for order in rounds:
            for done in run_drills(names, order, say=say):
                failed = done.error if is_only and not json else None
                performed.append(done.as_json())
                if failed is None:
                    _show(done, json=json, example=example)
            if performed and performed[-1]["interrupted"]:
                break
    except TriageError as error:
        if not performed:
            raise
        say(f"No more drills are performed: {error}")
        return exit_code_of(performed, errors=[error.exit_code])
    if failed is not None:
        raise failed
    return exit_code_of(performed)


def _show(done: Session, *, json: bool, example: bool) -> None:
    from loomtriage.model import State
    from loomtriage.runner.folder import keep_as_example
    from loomtriage.settings import shipped

    drill = done.as_json()
    if done.error is not None:
        say(f"Drill {done.result.id} did not come to its end: {done.error}")
    if json:
        name = done.folder.name if done.folder else None
        print(dumps({"folder": name, "verdict": done.verdict, "drill": drill}), flush=True)
    elif done.error is None:
        print(shown(done.folder, done.verdict, drill=drill))
    if example and done.folder and done.result.state is State.OK:
        kept = keep_as_example(done.folder, shipped("runbooks/examples"), name=done.result.id)
        (say if json else print)(f"example   {relative(kept)}")


def _show_summary(performed: Sequence[Mapping[str, object]], *, asked: int) -> None:
    """One table of all drills, and how far their counts lie apart where one was repeated."""
    from loomtriage.drills.spread import counted, spread_table
    from loomtriage.drills.summary import summary_table

    print(f"\n{printable(summary_table(performed, asked=asked).plain())}")
    spread = spread_table([counted(one) for one in performed])
    if spread.rows:
        print(f"\n{printable(spread.plain())}")
