"""The command that performs drills, in one lab or in several side by side."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from threading import Thread
from typing import IO, TYPE_CHECKING, Annotated

import typer

from loomtriage.cli.options import Json, Out, out_dir, worker_command
from loomtriage.cli.terminal import printable, relative, say, show
from loomtriage.errors import UsageError

if TYPE_CHECKING:
    from loomtriage.drills.result import DrillResult
    from loomtriage.drills.session import Order

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
    as_json: Json = False,
) -> None:
    """Drills end to end in a lab of their own: fault, blind triage, restore, verdict.

    Example: loomtriage drill es_down
    """
    from loomtriage.drills.fault import Inject
    from loomtriage.drills.session import Order

    chosen, command = _chosen(names or (), every=every), worker_command(worker_cmd)
    if lab and (labs > 1 or worker_cmd):
        raise UsageError(
            "--lab excludes --labs and --worker-cmd.",
            hint="A running lab is one, and has its worker: `loomtriage lab up --worker-cmd`.",
        )
    if labs > 1 and len(chosen) > 1:
        options = [f"--seed={seed}", f"--repeat={repeat}", f"--out={out_dir(out)}"]
        options += ["--example"] * example + ["--json"] * as_json + ["--no-inject"] * (not inject)
        options += [f"--worker-cmd={worker_cmd}"] * bool(worker_cmd)
        shares = [chosen[first::labs] for first in range(min(labs, len(chosen)))]
        raise typer.Exit(side_by_side(shares, options))
    order = Order(
        lab_name=lab,
        inject=Inject.REAL if inject else Inject.NOOP,
        worker_cmd=command,
        out=out_dir(out),
    )
    performed: list[DrillResult] = []
    for number in range(seed, seed + repeat):
        performed += _perform(chosen, replace(order, seed=number), example=example, json=as_json)
        if performed[-1].interrupted:
            break
    if repeat > 1 and not as_json:
        _show_spread(performed)
    raise typer.Exit(max(int(one.exit_code) for one in performed))


def _chosen(names: Sequence[str], *, every: bool) -> tuple[str, ...]:
    from loomtriage.drills.book import DRILLS

    if every == bool(names):
        raise UsageError("Give the ids of drills, or --all.", hint=f"Drills: {', '.join(DRILLS)}.")
    for name in names:
        DRILLS.get(name, noun="drill")
    return tuple(DRILLS) if every else tuple(names)


def _perform(names: Sequence[str], order: Order, *, example: bool, json: bool) -> list[DrillResult]:
    """Perform drills one after the other; what they came to."""
    from loomtriage.drills.session import run_drills
    from loomtriage.model import State
    from loomtriage.runner.folder import keep_as_example
    from loomtriage.settings import shipped

    results = []
    for done in run_drills(names, order, say=say):
        show(done.folder, done.verdict, as_json=json, drill=done.result.as_json())
        results.append(done.result)
        if example and done.folder and done.result.state is State.OK:
            kept = keep_as_example(done.folder, shipped("runbooks/examples"), name=done.result.id)
            print(f"example   {relative(kept)}")
    return results


def _show_spread(performed: Sequence[DrillResult]) -> None:
    from loomtriage.drills.spread import counted, spread_table

    table = spread_table([counted(one.as_json()) for one in performed])
    if table.rows:
        print(printable(table.plain()))


def side_by_side(shares: Sequence[Sequence[str]], options: Sequence[str]) -> int:
    """Each share in a process and a lab of its own; every line says which; the worst exit code."""
    from loomtriage.drills.signals import exit_on_signals

    command = (sys.executable, "-m", "loomtriage.cli", "drill")
    pipe = subprocess.PIPE
    children: list[subprocess.Popen[str]] = []
    readers: list[Thread] = []
    exit_on_signals()
    try:
        for number, names in enumerate(shares, start=1):
            child = subprocess.Popen(
                [*command, *names, *options], stdout=pipe, stderr=pipe, text=True
            )
            children.append(child)
            for stream, target in ((child.stdout, sys.stdout), (child.stderr, sys.stderr)):
                readers.append(Thread(target=_tell, args=(stream, number, target), daemon=True))
                readers[-1].start()
        codes = [_exit_code(child.wait(), number) for number, child in enumerate(children, start=1)]
        return max(codes)
    finally:
        # Interrupted ourselves: each child takes its fault back and its lab down.
        for child in children:
            if child.poll() is None:
                child.terminate()
        for child in children:
            child.wait()
        for reader in readers:
            reader.join(timeout=5)


def _exit_code(returned: int, number: int) -> int:
    """As shells have it: a process that a signal ended has the negative number of that signal."""
    if returned >= 0:
        return returned
    name = signal.Signals(-returned).name
    say(f"lab {number} | ended by {name}; `loomtriage recover` takes back what it left.")
    return 128 - returned


def _tell(stream: IO[str] | None, number: int, target: IO[str]) -> None:
    for line in stream or ():
        print(f"lab {number} | {line}", end="", file=target, flush=True)
