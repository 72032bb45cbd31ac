"""The path as one command: notebooks in one kernel, one sealed run folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from loomtriage.case import open_case
from loomtriage.cli import main
from loomtriage.errors import NotebookFailed
from loomtriage.model import judge
from loomtriage.report.canvas import nothing
from loomtriage.runner.execute import Kernel, run_notebook, warm_kernel
from loomtriage.runner.folder import staging
from loomtriage.runner.incident import SUMMARY, retell
from loomtriage.runner.path import read_section
from loomtriage.settings import shipped
from loomtriage.sources.manifest import read_manifest
from loomtriage.stages import PATH
from loomtriage.stages.result import StageResult, finish

RECORDED = shipped("runbooks/examples") / "es_down" / "verdict.json"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """One run of the path on the example, its incident report included."""
    out = tmp_path_factory.mktemp("runs")
    with pytest.raises(SystemExit) as stopped:
        main(["path", "--source", "example:es_down", "--incident", "--out", str(out)])
    assert stopped.value.code == 1
    return next(out.iterdir())


FILES = Path("/proc/self/fd")


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A kernel beside the run's own; the last test of this file kills it."""
    with warm_kernel() as kernel:
        yield kernel


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


def test_a_chart_that_was_not_drawn_says_why(tmp_path):
    """What stands instead of the picture comes from the stage's kernel to the report's process."""
    case = open_case("narrow", source="example:placebo", handover=str(tmp_path))
    chart = nothing("rates", title="What rose?", why="No samples; is the target up?")
    finish(case, StageResult(stage="narrow", verdict=judge([]), charts=(chart,)))
    assert read_section(tmp_path, "narrow", None, seconds=0.0).charts == (chart,)


def test_told_afterwards_it_is_the_same_story(run, kernel, tmp_path):
    """A report made later keeps the verdict byte for byte and differs in its date and name only."""
    with staging("incident", tmp_path) as folder:
        again = retell(run, folder, kernel=kernel, say=print)
    assert (again / "verdict.json").read_bytes() == (run / "verdict.json").read_bytes()
    assert read_manifest(again).verify(again) == read_manifest(run).verify(run)
    first, second = ((f / SUMMARY).read_text("utf-8").splitlines() for f in (run, again))
    assert [a for a, b in zip(first, second, strict=True) if a != b] == first[2:3]


@pytest.mark.skipif(not FILES.exists(), reason="only Linux tells which files a process has open")
def test_a_notebook_leaves_no_file_open(kernel, tmp_path):
    """A whole drill book is hundreds of notebooks in one process."""
    kernel.move_to(tmp_path)
    given, counts = {"source": "example:es_down", "handover": "."}, []
    for _ in range(3):
        run_notebook("preflight", tmp_path, kernel=kernel, parameters=given)
        counts.append(len(list(FILES.iterdir())))
    assert counts[0] == counts[1] == counts[2]


def test_a_dead_kernel_is_seen(kernel, tmp_path):
    """Papermill cannot tell; the missing result does."""
    kernel.move_to(tmp_path)
    kernel.client.execute("import os; os._exit(1)", silent=True)
    with pytest.raises(NotebookFailed):
        run_notebook(
            "preflight",
            tmp_path,
            kernel=kernel,
            parameters={"source": "example:es_down", "handover": "."},
        )
