"""nbval: the notebooks run cell by cell on the recorded run, and say the same each time."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client import KernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
# A blind round leaves itself on the board, which the scoreboard shows: it comes last.
ROUND = FOLDER / "80-train.ipynb"
# One drill's stands for all: they are published from one form.
NOTEBOOKS = [
    *sorted({*FOLDER.glob("*.ipynb"), FOLDER / "drills" / "es_down.ipynb"} - {ROUND}),
    ROUND,
]
SHOWN = {"verdict", "evidence"}

# Each notebook starts a kernel of its own for the comparison.
pytestmark = pytest.mark.timeout(300)


def _nbval(folder: Path, *, runs: Path) -> subprocess.CompletedProcess[str]:
    # A process of its own: nbval keeps one kernel per file, which xdist would tear apart.
    plain = ("-p", "no:xdist", "-p", "no:cacheprovider", "-c", "/dev/null", "--color=no")
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            *plain,
            "--nbval-lax",
            "--nbval-current-env",
            folder,
        ],
        cwd=folder,
        env={**os.environ, "LOOMTRIAGE_RUNS": str(runs)},
        capture_output=True,
        text=True,
        check=False,
    )


def _execute(source: Path, target: Path, kernel: KernelManager) -> None:
    """Run a notebook once and keep what it showed, marked to be compared."""
    notebook = nbformat.read(source, as_version=4)
    client = NotebookClient(notebook, timeout=60, km=kernel)
    client.execute()
    # The next notebook begins with nothing but warm imports.
    client.kc.execute("%reset -f", store_history=False)
    client.kc.stop_channels()
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if SHOWN & set(tags):
            cell.metadata["tags"] = [*tags, "nbval-check-output"]
    nbformat.write(notebook, target)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebooks as they were left by one run on the recorded example."""
    folder = tmp_path_factory.mktemp("executed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOMTRIAGE_RUNS", str(tmp_path_factory.mktemp("runs")))
        kernel = KernelManager(kernel_name="python3")
        kernel.start_kernel()
        try:
            for path in NOTEBOOKS:
                own = folder / ("round" if path == ROUND else "rest")
                own.mkdir(exist_ok=True)
                _execute(path, own / path.name, kernel)
        finally:
            kernel.shutdown_kernel(now=True)
    return folder


def test_a_changed_verdict_is_noticed(executed, tmp_path):
    """The comparison fails when a notebook shows another verdict than before."""
    path = tmp_path / NOTEBOOKS[0].name
    shutil.copy(executed / "rest" / path.name, path)
    text, changed = re.subn(r'"text/plain": \[\n\s+"', r"\g<0>NOT ", path.read_text("utf-8"))
    assert changed
    path.write_text(text, encoding="utf-8")
    told = _nbval(tmp_path, runs=tmp_path / "runs")
    assert told.returncode == 1, told.stdout + told.stderr
    assert "Cell outputs differ" in told.stdout


@pytest.mark.parametrize("which", ["rest", "round"])
def test_notebooks_run_and_show_the_same_again(executed, tmp_path, which):
    """Every cell runs, and verdicts, charts and tables are the same, byte for byte."""
    told = _nbval(executed / which, runs=tmp_path)
    assert told.returncode == 0, told.stdout[-6000:] + told.stderr
    assert re.search(r"\d+ passed", told.stdout)
