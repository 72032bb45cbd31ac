"""Notebooks stay thin: text, parameters, one import cell, and calls into the package."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

from loomtriage.stages import STAGES

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.rglob("*.ipynb"))

PARAMETER = re.compile(r'[a-z]\w*: str = "[^"\\]*"  # \S.*')
FIELDS = {"id", "title", "stage", "safety", "needs", "next"}
LOGIC = (
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.For,
    ast.FunctionDef,
    ast.GeneratorExp,
    ast.If,
    ast.IfExp,
    ast.JoinedStr,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.Try,
    ast.While,
    ast.With,
)

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.relative_to(FOLDER).as_posix())


def _read(path: Path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def _code(path: Path):
    return [cell for cell in _read(path).cells if cell.cell_type == "code"]


def _about(path: Path) -> dict:
    return dict(_read(path).metadata.get("loomtriage", {}))


def _tagged(path: Path, tag: str):
    return [cell for cell in _read(path).cells if tag in cell.metadata.get("tags", [])]


def test_there_are_notebooks():
    """The rules below are about something."""
    assert NOTEBOOKS


@each
def test_notebook_is_stripped(path):
    """A notebook in the tree holds no outputs, no counts, and no metadata of one machine."""
    left = [c.id for c in _code(path) if c.outputs or c.execution_count is not None]
    assert left == []
    assert "widgets" not in _read(path).metadata


@each
def test_parameters_are_plain_text_with_help(path):
    """There is one parameters cell, the second; each line is a text with a default and a help."""
    cells = _tagged(path, "parameters")
    assert [c.id for c in cells] == [_read(path).cells[1].id]
    lines = cells[0].source.splitlines()
    assert lines
    assert [line for line in lines if not PARAMETER.fullmatch(line)] == []


@each
def test_cells_are_short(path):
    """A cell of code is read at a glance: at most six lines, except the list of parameters."""
    long = {
        c.id: len(c.source.splitlines())
        for c in _code(path)
        if "parameters" not in c.metadata.get("tags", []) and len(c.source.splitlines()) > 6
    }
    assert long == {}


@each
def test_imports_stand_in_the_third_cell_only(path):
    """The third cell imports public names of the package and nothing else; it is hidden."""
    third = _read(path).cells[2]
    assert "hide-input" in third.metadata.get("tags", [])
    for cell in _code(path):
        nodes = list(ast.walk(ast.parse(cell.source)))
        imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        if cell.id != third.id:
            assert imports == [], cell.id
        else:
            assert imports
            assert {getattr(node, "module", None) for node in imports} == {"loomtriage"}


@each
def test_cells_hold_no_logic(path):
    """Thinking belongs to the package: no function, loop, branch, try or f-string in a cell."""
    logic = [
        f"{cell.id}: {type(node).__name__}"
        for cell in _code(path)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, LOGIC)
    ]
    assert logic == []


@each
def test_each_cell_shows_one_thing(path):
    """A cell displays what its last line says and nothing before it."""
    shows = {}
    for cell in _code(path):
        body = ast.parse(cell.source).body
        # A call for its effect before the last line would hide what it answers.
        shows[cell.id] = [type(n).__name__ for n in body[:-1] if isinstance(n, ast.Expr)]
    assert {name: early for name, early in shows.items() if early} == {}


@each
def test_cell_ids_are_words(path):
    """Cell ids are chosen by hand, unique and stable, so that a diff shows what changed."""
    ids = [cell.id for cell in _read(path).cells]
    assert len(set(ids)) == len(ids)
    assert [name for name in ids if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name)] == []


@each
def test_metadata_is_complete(path):
    """A notebook says what it is, what it needs, what it may touch and what comes next."""
    about = _about(path)
    assert set(about) == FIELDS
    assert about["id"] == path.stem.partition("-")[2] or about["id"] == path.stem
    assert [name for name in FIELDS - {"needs", "next", "stage"} if not about[name]] == []


@each
def test_next_leads_somewhere(path):
    """What a notebook names as next exists."""
    known = {_about(other)["id"] for other in NOTEBOOKS}
    after = _about(path)["next"]
    assert set([after] if isinstance(after, str) else after) - {""} <= known


def test_stages_and_notebooks_come_in_pairs():
    """Every stage has exactly one notebook, and every notebook of a stage names a real stage."""
    stages = [_about(path)["stage"] for path in NOTEBOOKS if path.parent == FOLDER]
    assert sorted(stage for stage in stages if stage) == sorted(STAGES.names)


def test_file_numbers_follow_the_path():
    """Sorted by name, the notebooks of the stages stand in the order of the stages."""
    stages = [_about(path)["stage"] for path in NOTEBOOKS if path.parent == FOLDER]
    assert [stage for stage in stages if stage] == list(STAGES.names)
