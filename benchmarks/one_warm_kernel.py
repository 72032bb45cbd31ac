"""The stage notebooks in one warm kernel, against papermill's command once per notebook.

Prints the seconds of both and, last, how many times faster the warm kernel is: `ratio=2.5`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loomtriage.runner.execute import run_notebook, stage_notebook, warm_kernel
from loomtriage.stages import STAGES

SOURCE = "example:es_down"


def ours(folder: Path) -> float:
    """Seconds for all stages as the path runs them, start and stop of the kernel included."""
    begun = time.perf_counter()
    with warm_kernel(folder) as kernel:
        for stage in STAGES.names:
            run_notebook(stage, folder, kernel=kernel, parameters={"source": SOURCE})
    return time.perf_counter() - begun


def theirs(folder: Path) -> float:
    """Seconds for the same notebooks, each by papermill's own command."""
    begun = time.perf_counter()
    for stage in STAGES.names:
        notebook = stage_notebook(stage)
        subprocess.run(
            [
                *(sys.executable, "-m", "papermill", "--no-progress-bar", "--cwd", str(folder)),
                *(str(notebook), str(folder / notebook.name), "-p", "source", SOURCE),
            ],
            check=True,
            capture_output=True,
        )
    return time.perf_counter() - begun


def main() -> None:
    """Measure both, ours last so that it does not profit from warm files."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        slow = theirs(Path(first))
        fast = ours(Path(second))
        same = {p.name for p in Path(first).glob("*.ipynb")}
        assert same == {p.name for p in Path(second).glob("*.ipynb")}
    print(f"papermill once per notebook: {slow:.1f} s for {len(STAGES.names)} notebooks")
    print(f"one warm kernel: {fast:.1f} s")
    print(f"ratio={slow / fast:.1f}")


if __name__ == "__main__":
    main()
