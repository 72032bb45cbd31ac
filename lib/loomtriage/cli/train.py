"""The command that plays blind rounds: a promise first, a score and a debrief last."""

from __future__ import annotations

import json
import os
import select
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loomtriage.cli.options import Json, Out, out_dir
from loomtriage.cli.terminal import printable, relative, say
from loomtriage.errors import Exit

if TYPE_CHECKING:
    from loomtriage.train.rounds import Closed, Opened, Order

app = typer.Typer()
Offline = Annotated[bool, typer.Option(help="On a recorded run, without a lab: 5 minutes.")]
File = Annotated[str, typer.Option(help="JSON file of answers, read whenever it changes.")]
Pool = Annotated[str, typer.Option(help="Folder of run folders to draw offline rounds from.")]


@app.command()
def train(  # noqa: PLR0913, PLR0917  (one parameter per documented option)
    offline: Offline = False,
    answers: File = "",
    board: Annotated[str, typer.Option(help="The team's folder; yours by default.")] = "",
    source: Pool = "",
    level: Annotated[str, typer.Option(help="basic, full or advanced.")] = "basic",
    seed: Annotated[int, typer.Option(help="Repeats a round; -1 draws by chance.", min=-1)] = -1,
    limit: Annotated[int, typer.Option(help="Seconds to answer; 0: 300 offline, else 600.")] = 0,
    who: Annotated[str, typer.Option(help="Name on the board; your login by default.")] = "",
    out: Out = "",
    as_json: Json = False,
) -> None:
    """A blind round: something is wrong, or nothing is; say what, where, why, and what to do.

    Example: loomtriage train --offline
    """
    from loomtriage.train.ordering import order_of
    from loomtriage.train.rounds import GaveUp

    order = order_of(
        offline=offline or bool(source), level=level, seed=seed, who=who,
        board=board, source=source, out=out_dir(out), limit_s=limit,
    )  # fmt: skip
    try:
        closed = _play(order, Path(answers) if answers else None, as_json=as_json)
    except GaveUp as error:
        gone = {"kind": "abandoned", "why": str(error)}
        says = f"abandoned: {error}; on the board, without a score"
        print(json.dumps(gone) if as_json else says)
        raise typer.Exit(int(error.code)) from None
    if as_json:
        print(json.dumps(closed.as_json()))
    else:
        _reveal(closed)
    raise typer.Exit(int(Exit.OK))


def _play(order: Order, file: Path | None, *, as_json: bool) -> Closed:
    from loomtriage.drills.signals import exit_on_signals
    from loomtriage.train.answers import read_answers
    from loomtriage.train.desk import by_asking, from_file
    from loomtriage.train.play import play

    if file is not None and file.exists():
        read_answers(file)  # what cannot be read is said before the clock starts
    exit_on_signals()
    waits = file is not None or as_json
    desk = (
        from_file(file, say=say)
        if waits
        else by_asking(_Keyboard().read_line, say=_tell, look=_Eyes().look)
    )
    return play(order, desk, say=say, opened=_as_json if as_json else _brief)


class _Keyboard:
    """Lines of standard input, each waited for only so long."""

    def __init__(self) -> None:
        self._held = b""

    def read_line(self, prompt: str, within_s: float) -> str | None:
        """The next line; None when the time is up.

        Raises:
            EOFError: the input has ended.
        """
        print(printable(prompt), end="", flush=True)
        end = time.monotonic() + within_s
        while b"\n" not in self._held:
            ready, _, _ = select.select([0], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return None
            try:
                came = os.read(0, 4096)
            except OSError:
                came = b""  # the terminal is gone
            if not came:
                raise EOFError
            self._held += came
        line, _, self._held = self._held.partition(b"\n")
        return line.decode(errors="replace")


def _as_json(opened: Opened) -> None:
    print(json.dumps(opened.as_json()), flush=True)


def _brief(opened: Opened) -> None:
    from loomtriage.stages import PATH
    from loomtriage.train.looks import HINTS
    from loomtriage.train.raw import RAW
    from loomtriage.train.score import HINT_COST

    start = f" --start {opened.start}" if opened.start else ""
    print(
        f"round     {opened.id}, {opened.mode}, {opened.level}: {opened.limit_s:.0f} s from now\n"
        f"promised  {opened.commit}\n"
        f"source    {opened.source}{start}\n"
        f"look      ?{' ?'.join((*PATH, *RAW))}, or ?METRIC\n"
        f"hints     ?{' ?'.join(HINTS)} name the cause: -{HINT_COST:.0%} each, once\n"
        "back      < goes back one question\n",
        flush=True,
    )


class _Eyes:
    """Looks from the terminal; what one costs is said before it is taken."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def look(self, opened: Opened, what: str) -> str:
        """One view of the round's telemetry, as text."""
        from loomtriage.train.looks import HINTS, look, plain
        from loomtriage.train.score import HINT_COST

        if what in HINTS and what not in self._taken:
            _tell(f"a hint: -{HINT_COST:.0%} of the score")
            self._taken.add(what)
        return plain(look(opened.folder, what))


def _tell(text: str) -> None:
    print(f"{printable(text)}\n", flush=True)


def _reveal(closed: Closed) -> None:
    score, truth = closed.score, closed.truth
    causes = truth.get("causes")
    it_was = " or ".join(map(str, causes)) if isinstance(causes, list) else "?"
    print(printable(f"\nit was    {it_was} ({truth.get('drill') or truth.get('run')})"))
    # Closing checked it against the board; a round whose promise is broken does not come here.
    print(f"promise   kept: {closed.opened.commit} stands on the board, and is the SHA-256")
    print(f"          of the truth behind the nonce {closed.nonce}\n")
    print(printable(score.table().plain()), end="\n\n")
    print(printable(score.timers().plain()), end="\n\n")
    print(f"debrief   {relative(closed.debrief)}")
