"""The whole path as one command, against papermill's and nbconvert's own commands in a chain.

Both execute the same notebooks on the same recorded example, each stage continuing from the one
before, and leave HTML. Ours also draws one report of all and seals the run folder. Prints the
seconds of both and, last, how many times faster ours is: `ratio=4.5`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loomtriage.runner.execute import stage_notebook
from loomtriage.stages import PATH

SOURCE = "example:es_down"


def seconds(*command: str, answers: tuple[int, ...] = (0,)) -> float:
    """Seconds that a command takes; it must end with one of these exit codes."""
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in answers, done.stderr
    return time.perf_counter() - begun


def ours(folder: Path) -> float:
    """The fixed path as one command; the example's verdict is BAD, which is exit code 1."""
    python = (sys.executable, "-m", "loomtriage.cli")
    return seconds(*python, "path", "--source", SOURCE, "--out", str(folder), answers=(1,))


def theirs(folder: Path) -> float:
    """The same notebooks, each by papermill's own command, then each to HTML by nbconvert's."""
    papermill = (sys.executable, "-m", "papermill", "--no-progress-bar", "--cwd", str(folder))
    convert = (sys.executable, "-m", "nbconvert", "--to", "html")
    given = ("-p", "source", SOURCE, "-p", "handover", str(folder))
    total = 0.0
    for stage in PATH:
        target = str(folder / f"{stage}.ipynb")
        total += seconds(*papermill, str(stage_notebook(stage)), target, *given)
        total += seconds(*convert, target)
    return total


def main() -> None:
    """Measure both and see that both executed all notebooks."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        slow, fast = theirs(Path(first)), ours(Path(second))
        executed = [len(list(Path(name).rglob("*.ipynb"))) for name in (first, second)]
        assert executed == [len(PATH)] * 2
    count = len(PATH)
    print(f"papermill and nbconvert, once per notebook: {slow:.1f} s for {count} notebooks")
    print(f"the path as one command, with report: {fast:.1f} s")
    print(f"ratio={slow / fast:.1f}")


if __name__ == "__main__":
    main()
