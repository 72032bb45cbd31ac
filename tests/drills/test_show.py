"""A drill's recorded performance, as a notebook shows it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from loomtriage import show_drill
from loomtriage.errors import BundleDamaged, UsageError
from loomtriage.model import State

EXAMPLES = Path(__file__).resolve().parents[2] / "runbooks/examples"
CHARTS = ("latency", "increase_by_reason", "lag", "waterfall")
TABLES = ("steps", "answer", "latency")


def test_a_recorded_run_shows_what_it_came_to():
    """Verdict, witness and every expectation stand as the drill wrote them."""
    content = json.loads((EXAMPLES / "es_down/drill.json").read_text(encoding="utf-8"))
    verdict = show_drill("example:es_down").verdict
    assert verdict.state is State(content["state"])
    assert verdict.headline == content["says"]
    said = [finding.says for finding in verdict.findings]
    assert said == [*content["witness"], *(one["says"] for one in content["expectations"])]


@pytest.mark.parametrize("name", CHARTS)
def test_a_recorded_run_draws_every_chart(name):
    """Charts of drill and stages come from the recorded answers alone."""
    assert show_drill("example:es_down").chart(name).png


@pytest.mark.parametrize("name", TABLES)
def test_a_recorded_run_fills_every_table(name):
    """Steps, the triage's answer and the moments are there."""
    assert show_drill("example:es_down").table(name).rows


def test_a_drill_without_example_says_so_by_name(tmp_path):
    """Nothing recorded is NO_DATA with the command that records it, in every part of the page."""
    run = show_drill("example:es_down", kept=tmp_path)
    says = "No run of es_down is recorded yet. `loomtriage drill es_down --example`"
    assert run.verdict.state is State.NO_DATA
    assert run.verdict.headline.startswith(says)
    assert all(run.table(name).note.startswith(says) for name in TABLES)
    assert all(run.chart(name).note.startswith(says) for name in CHARTS)
    assert [row[1] for row in run.next.rows] == ["loomtriage drill es_down"]


@pytest.mark.parametrize("source", ["live", "example:no_such_drill", "run:no-such-folder", ""])
def test_another_source_is_refused(source):
    """What is no recorded run of a drill is named, with the forms that are."""
    with pytest.raises(UsageError, match="no recorded run of a drill"):
        show_drill(source)


def test_a_run_without_a_drill_is_refused(tmp_path):
    """A plain investigation is no drill."""
    folder = shutil.copytree(EXAMPLES / "es_down", tmp_path / "plain")
    (folder / "drill.json").unlink()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    del manifest["files"]["drill.json"]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(UsageError, match="not a drill's run"):
        show_drill(f"run:{folder}")


def test_a_tampered_run_is_refused(tmp_path):
    """A result that was changed after the run is not shown."""
    folder = shutil.copytree(EXAMPLES / "es_down", tmp_path / "own")
    assert show_drill(f"run:{folder}").verdict.state is State.OK
    (folder / "drill.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BundleDamaged, match="drill"):
        show_drill(f"run:{folder}")


def test_an_unknown_part_is_named():
    """A chart or table that no drill has is refused with the list of those it has."""
    run = show_drill("example:es_down")
    with pytest.raises(UsageError, match="no chart 'heatmap'"):
        run.chart("heatmap")
    with pytest.raises(UsageError, match="no table 'heatmap'"):
        run.table("heatmap")
