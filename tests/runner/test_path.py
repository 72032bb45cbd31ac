"""The path as one command: notebooks in one kernel, one sealed run folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loomtriage.cli import main
from loomtriage.errors import NotebookFailed
from loomtriage.runner.execute import run_notebook, warm_kernel
from loomtriage.settings import shipped
from loomtriage.sources.manifest import read_manifest
from loomtriage.stages import PATH

RECORDED = shipped("runbooks/examples") / "es_down" / "verdict.json"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """One run of the path on the example."""
    out = tmp_path_factory.mktemp("runs")
    with pytest.raises(SystemExit) as stopped:
        main(["path", "--source", "example:es_down", "--out", str(out)])
    assert stopped.value.code == 1
    return next(out.iterdir())


def test_the_verdict_is_the_recorded_one(run):
    """Through notebooks and kernel, byte for byte."""
    assert (run / "verdict.json").read_bytes() == RECORDED.read_bytes()


def test_the_folder_is_complete_and_verifies(run):
    """Report, summary, verdict, hand-over, every executed notebook and the tape, all hashed."""
    names = {p.name for p in run.iterdir()}
    notebooks = {p.name for p in shipped("notebooks").glob("*-*.ipynb")}
    wanted = {"report.html", "summary.md", "verdict.json", "handover.json", "manifest.json"}
    assert wanted | {"tape", "stages"} <= names
    assert {n for n in notebooks if n.split("-")[1].removesuffix(".ipynb") in PATH} <= names
    assert read_manifest(run).verify(run) > len(wanted)


def test_executed_notebooks_show_results_and_no_error(run):
    """Each stage's verdict cell has an output, and no cell raised."""
    for path in run.glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        outputs = [o for cell in cells for o in cell.get("outputs", [])]
        assert outputs
        assert not [o for o in outputs if o["output_type"] == "error"]


def test_nothing_tells_where_it_was_made(run):
    """No artifact holds a path of this machine."""
    here = {str(run.parent), str(Path.cwd()), str(shipped("notebooks").parent)}
    for path in (p for p in run.rglob("*") if p.suffix in (".json", ".html", ".md", ".ipynb")):
        text = path.read_text(encoding="utf-8")
        assert not [place for place in here if place in text], path.name


def test_a_dead_kernel_is_seen(tmp_path):
    """Papermill cannot tell; the missing result does."""
    with warm_kernel() as kernel:
        kernel.move_to(tmp_path)
        kernel.client.execute("import os; os._exit(1)", silent=True)
        with pytest.raises(NotebookFailed):
            run_notebook(
                "preflight",
                tmp_path,
                kernel=kernel,
                parameters={"source": "example:es_down", "handover": "."},
            )
