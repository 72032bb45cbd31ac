"""The path in one warm kernel, against papermill's own command once per notebook.

Ours also writes the report and seals the run folder. Prints the seconds of both and, last, how
many times faster ours is: `ratio=2.5`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loomtriage.runner.execute import stage_notebook
from loomtriage.stages import STAGES

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
    """The same notebooks, each by papermill's own command."""
    papermill = (sys.executable, "-m", "papermill", "--no-progress-bar", "--cwd", str(folder))
    pairs = [(stage_notebook(stage), folder / f"{stage}.ipynb") for stage in STAGES.names]
    return sum(
        seconds(*papermill, str(source), str(target), "-p", "source", SOURCE)
        for source, target in pairs
    )


def main() -> None:
    """Measure both and see that both executed all notebooks."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        slow, fast = theirs(Path(first)), ours(Path(second))
        executed = [len(list(Path(name).rglob("*.ipynb"))) for name in (first, second)]
        assert executed == [len(STAGES.names)] * 2
    print(f"papermill once per notebook: {slow:.1f} s for {len(STAGES.names)} notebooks")
    print(f"the path in one warm kernel, with report: {fast:.1f} s")
    print(f"ratio={slow / fast:.1f}")


if __name__ == "__main__":
    main()
