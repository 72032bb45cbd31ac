"""Shares: how are drills performed in several labs side by side, and heard as one?"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import IO, Any

from loomtriage.cli.terminal import say, shown
from loomtriage.errors import Exit


def shares_of(
    names: Sequence[str], *, seed: int, repeat: int, labs: int
) -> tuple[tuple[str, ...], ...]:
    """The arguments of each lab's share: some of the drills, or all of them with some seeds."""
    if len(names) >= repeat:
        rounds = (f"--seed={seed}", f"--repeat={repeat}")
        return tuple((*names[first::labs], *rounds) for first in range(min(labs, len(names))))
    count = min(labs, repeat)
    seeds = [seed + repeat * number // count for number in range(count + 1)]
    return tuple(
        (*names, f"--seed={first}", f"--repeat={after - first}") for first, after in pairwise(seeds)
    )


def side_by_side(
    shares: Sequence[Sequence[str]],
    options: Sequence[str],
    *,
    out: Path,
    as_json: bool = False,
    heard: list[Mapping[str, object]] | None = None,
) -> int:
    """Perform each share in a process and a lab of its own; the exit code of all.

    Each process tells its drills as JSON lines. They are passed on as they are, or shown with the
    number of the lab before every line.

    Args:
        shares: arguments of each process.
        options: arguments of all of them.
        out: folder that receives the run folders.
        as_json: whether to pass the lines on.
        heard: receives the result of each drill.
    """
    from loomtriage.drills.signals import exit_on_signals
    from loomtriage.drills.summary import exit_code_of

    results: list[Mapping[str, object]] = [] if heard is None else heard
    command = (sys.executable, "-m", "loomtriage.cli", "drill")
    pipe = subprocess.PIPE
    children: list[subprocess.Popen[str]] = []
    readers: list[Thread] = []
    hearings: list[_Hearing] = []
    exit_on_signals()
    try:
        for number, share in enumerate(shares, start=1):
            child = subprocess.Popen(
                [*command, *share, *options, "--json", f"--out={out}"],
                stdout=pipe,
                stderr=pipe,
                text=True,
            )
            children.append(child)
            hear = _Hearing(number, out=out, as_json=as_json, results=results)
            hearings.append(hear)
            for listen, stream in ((hear.drills, child.stdout), (hear.progress, child.stderr)):
                readers.append(Thread(target=hear.to_the_end, args=(listen, stream), daemon=True))
                readers[-1].start()
        codes = [_exit_code(child.wait(), number) for number, child in enumerate(children, start=1)]
    finally:
        # Interrupted ourselves: each child takes its fault back and its lab down.
        for child in children:
            if child.poll() is None:
                child.terminate()
        for child in children:
            child.wait()
        for reader in readers:
            reader.join(timeout=5)
    codes += [int(Exit.ERROR) for hear in hearings if hear.failed]
    return exit_code_of(results, errors=codes)


def _exit_code(returned: int, number: int) -> int:
    """As shells have it: a process that a signal ended has the negative number of that signal."""
    if returned >= 0:
        return returned
    name = signal.Signals(-returned).name
    say(f"lab {number} | ended by {name}; `loomtriage recover` takes back what it left.")
    return 128 - returned


class _Hearing:
    """What one lab's process tells.

    Attributes:
        failed: whether some of it could not be passed on.
    """

    failed = False

    def __init__(
        self, number: int, *, out: Path, as_json: bool, results: list[Mapping[str, object]]
    ) -> None:
        self._number, self._out, self._as_json, self._results = number, out, as_json, results

    def to_the_end(self, listen: Callable[[Iterable[str]], None], stream: IO[str] | None) -> None:
        """Hear a stream out; a process whose pipe nobody empties stands still for ever."""
        lines = stream or ()
        try:
            listen(lines)
        except Exception as error:  # noqa: BLE001  (whatever it was, the lab must come to its end)
            self.failed = True
            say(f"lab {self._number} | not passed on any more: {type(error).__name__}.")
            for _ in lines:
                pass

    def progress(self, lines: Iterable[str]) -> None:
        """Pass each line on."""
        for line in lines:
            self._put(line.rstrip("\n"), sys.stderr)

    def drills(self, lines: Iterable[str]) -> None:
        """Keep each drill's result and show it."""
        from loomtriage.drills.summary import has_ended

        for line in lines:
            told = _document(line)
            if told is None:
                self._put(line.rstrip("\n"), sys.stderr)
                continue
            drill = told["drill"]
            self._results.append(drill)
            if self._as_json:
                sys.stdout.write(line)
                sys.stdout.flush()
            elif has_ended(drill):
                folder = self._out / told["folder"] if told["folder"] else None
                self._put(shown(folder, told["verdict"], drill=drill), sys.stdout)

    def _put(self, text: str, target: IO[str]) -> None:
        # One call, so that the lines of two labs do not mix.
        lines = [f"lab {self._number} | {line}\n" for line in text.split("\n")]
        target.write("".join(lines))
        target.flush()


def _document(line: str) -> dict[str, Any] | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) and isinstance(told.get("drill"), dict) else None
