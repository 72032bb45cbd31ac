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
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
# One drill's stands for all: they are published from one form.
NOTEBOOKS = [*sorted(FOLDER.glob("*.ipynb")), FOLDER / "drills" / "es_down.ipynb"]
SHOWN = {"verdict", "evidence"}

# Each notebook starts two kernels.
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


def _execute(source: Path, target: Path) -> None:
    """Run a notebook once and keep what it showed, marked to be compared."""
    notebook = nbformat.read(source, as_version=4)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if SHOWN & set(tags):
            cell.metadata["tags"] = [*tags, "nbval-check-output"]
    nbformat.write(notebook, target)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebooks as they were left by one run on the recorded example.

    The form of a blind round leaves one on the board, so every run has a board of its own.
    """
    folder = tmp_path_factory.mktemp("executed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOMTRIAGE_RUNS", str(tmp_path_factory.mktemp("runs")))
        for path in NOTEBOOKS:
            _execute(path, folder / path.name)
    return folder


def test_a_changed_verdict_is_noticed(executed, tmp_path):
    """The comparison fails when a notebook shows another verdict than before."""
    path = tmp_path / NOTEBOOKS[0].name
    shutil.copy(executed / path.name, path)
    text, changed = re.subn(r'"text/plain": \[\n\s+"', r"\g<0>NOT ", path.read_text("utf-8"))
    assert changed
    path.write_text(text, encoding="utf-8")
    told = _nbval(tmp_path, runs=tmp_path / "runs")
    assert told.returncode == 1, told.stdout + told.stderr
    assert "Cell outputs differ" in told.stdout


def test_notebooks_run_and_show_the_same_again(executed, tmp_path):
    """Every cell runs, and verdicts, charts and tables are the same, byte for byte."""
    told = _nbval(executed, runs=tmp_path)
    assert told.returncode == 0, told.stdout[-6000:] + told.stderr
    assert re.search(r"\d+ passed", told.stdout)
