"""The notebook of a drill says what its file says, and runs on what is recorded."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest

from loomtriage.contract.causes import BY_ID
from loomtriage.drills.book import DRILLS
from loomtriage.publish.drill_notebook import drill_notebook, story_of
from loomtriage.publish.signs import SIGNS, signs_of
from loomtriage.publish.words import expectation_in_words, faults_in_words, moves

FOLDER = Path(__file__).resolve().parents[2] / "notebooks/drills"
BOOK = DRILLS.all(noun="drill")
each = pytest.mark.parametrize("drill", BOOK.values(), ids=list(BOOK))


def cells(text: str) -> dict[str, str]:
    """Source by cell id."""
    return {cell["id"]: "".join(cell["source"]) for cell in json.loads(text)["cells"]}


def page(drill) -> dict[str, str]:
    """The cells that a drill publishes."""
    return cells(drill_notebook(drill, story_of(drill), after=""))


@each
def test_page_tells_what_the_drill_file_says(drill):
    """Story, expectations, look-alikes, cause and close-out stand in the page, word by word."""
    told = page(drill)
    assert all(line.strip() in told["intro"] for line in story_of(drill).splitlines())
    assert all(line in told["happens"] for line in faults_in_words(drill))
    assert all(expectation_in_words(one) in told["signals"] for one in drill.expect)
    assert all(f"`{cause}`" in told["look-alikes"] for cause in drill.look_alikes)
    assert all(how in told["look-alikes"] for how in drill.look_alikes.values())
    assert f"$ loomtriage drill {drill.id}\n" in told["live"]
    assert drill.close_out in told["do"]
    assert BY_ID[drill.cause].do in told["do"]


@each
def test_page_speaks_of_all_three_signals(drill):
    """Metrics, traces and logs are each spoken of, also where nothing is to be seen."""
    told = page(drill)["signals"]
    assert "Metrics" in told
    assert "\n\nTraces:\n\n- " in told
    assert "\n\nLogs:\n\n- " in told


@each
def test_look_alikes_link_to_pages_that_exist(drill):
    """A look-alike that is a drill of its own leads to its page."""
    links = [part.partition(")")[0] for part in page(drill)["look-alikes"].split("](")[1:]]
    assert [name for name in links if not (FOLDER / name).is_file()] == []


def test_a_changed_drill_changes_the_page():
    """What a drill file says differently, the page says differently."""
    drill = BOOK["es_down"]
    other = replace(drill, close_out="Ask the neighbours.", look_alikes={"es_429": "a | b"})
    assert "Ask the neighbours." in page(other)["do"]
    assert "a \\| b" in page(other)["look-alikes"]
    assert page(other)["signals"] == page(drill)["signals"]


def test_what_moves_is_told_apart_from_what_does_not():
    """A drill that promises no change says that no span and no line gives it away."""
    drill = BOOK["es_down"]
    still = replace(drill, expect=tuple(one for one in drill.expect if not moves(one)))
    assert "Metrics that move" in page(drill)["signals"]
    assert signs_of(drill)
    assert "Metrics that move" not in page(still)["signals"]
    assert "no span ends in an error" in page(still)["signals"]


def test_signs_speak_of_metrics_that_exist():
    """Each sign belongs to a metric of the contract that some drill moves."""
    moved = {one.metric for drill in BOOK.values() for one in drill.expect if moves(one)}
    assert set(SIGNS) <= moved


def test_pages_run_the_same_code():
    """But for the name of the run; so what is drawn for some runs can be drawn for all."""
    code = {
        tuple(
            "".join(cell["source"]).replace(drill.id, "ID")
            for cell in json.loads(drill_notebook(drill, "", after=""))["cells"]
            if cell["cell_type"] == "code"
        )
        for drill in BOOK.values()
    }
    assert len(code) == 1


# Charts of the stages take seconds: they are drawn for a run with every signal, for one without a
# fault, and for those that lost a signal.
DRAWN = {"es_down", "placebo", "collector_down_at_start", "log_full"}
STAGE_CHARTS = {"evidence-increase", "evidence-lag", "evidence-waterfall"}


@each
def test_page_runs_on_what_is_recorded(drill):
    """Every code cell runs and shows something, also when the drill has no example yet."""
    skipped = set() if drill.id in DRAWN else STAGE_CHARTS
    names: dict[str, object] = {}
    shown = {}
    content = json.loads((FOLDER / f"{drill.id}.ipynb").read_text(encoding="utf-8"))
    for cell in content["cells"]:
        if cell["cell_type"] != "code" or cell["id"] in skipped:
            continue
        *body, last = ast.parse("".join(cell["source"])).body
        if not isinstance(last, ast.Expr):
            body.append(last)
        exec(compile(ast.Module(body, []), cell["id"], "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), cell["id"], "eval"), names)
            shown[cell["id"]] = value._repr_html_() if hasattr(value, "_repr_html_") else str(value)
    assert {"verdict", "evidence-latency", "evidence-timeline", "handover"} <= set(shown)
    assert STAGE_CHARTS - skipped <= set(shown)
    assert all(shown.values())
