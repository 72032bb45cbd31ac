"""The rules of the house that no other tool holds."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from loomtriage import errors

ROOT = Path(__file__).resolve().parent.parent
LIB = ROOT / "lib" / "loomtriage"
MODULES = sorted(path for path in LIB.rglob("*.py") if "_shipped" not in path.parts)
TESTS = sorted((ROOT / "tests").rglob("*.py"))

BANNED = {"util", "utils", "helper", "helpers", "common", "manager", "handler", "misc"}
BANNED_WHOLE = {"base", "process_data", "run_all"}

MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:work|root|home|farm|tmp)/[\w.-]+")
VISIBLE = ("benchmarks", "docker", "docs", "lib", "notebooks", "runbooks", "tests")
# The few files that must speak of such a path, each with its reason.
PATHS_ALLOWED = {
    "tests/test_house.py": "the rule itself",
    "tests/lab/servers/test_postgres.py": "a file that the server must refuse to write",
}


def _definitions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node


def _words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)}


def _project_files() -> list[Path]:
    """Every file that travels with the project."""
    tops = [path for path in ROOT.iterdir() if path.name in {".ci", *VISIBLE} or path.is_file()]
    found = [path for top in tops for path in (top.rglob("*") if top.is_dir() else [top])]
    left = {"uv.lock", ".git"}
    return [
        path
        for path in found
        if path.is_file()
        and path.name not in left
        and "__pycache__" not in path.parts
        and path.relative_to(ROOT).parts[:2] != ("runbooks", "runs")
    ]


def _short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_map_says_one_sentence_about_every_module():
    """`docs/map.md` lists each module once, with the first line of its docstring."""
    told = subprocess.run(
        [sys.executable, ROOT / ".ci/map", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr


def test_files_are_short():
    """A module answers one question in at most 300 lines, a test file fits one sitting: 250."""
    long = {
        _short(path): lines
        for paths, limit in ((MODULES, 300), (TESTS, 250))
        for path in paths
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > limit
    }
    assert long == {}


def test_names_say_what_is_meant():
    """No module, function or class is named after a mechanism instead of a thing."""
    bad = [
        f"{_short(path)}: {name}"
        for path in MODULES
        for name in (path.stem, *(node.name for node in _definitions(path)))
        if _words(name) & BANNED or name.lower() in BANNED_WHOLE
    ]
    assert bad == []


def test_only_the_command_line_prints():
    """The library says nothing on stdout by itself."""
    calls = [
        f"{_short(path)}:{node.lineno}"
        for path in MODULES
        if path.relative_to(LIB).parts[0] not in {"cli.py", "cli"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert calls == []


def test_every_test_states_its_promise():
    """Each test carries a docstring that says what a user may rely on."""
    silent = [
        f"{_short(path)}: {node.name}"
        for path in TESTS
        for node in _definitions(path)
        if node.name.startswith("test_") and not (ast.get_docstring(node) or "").strip()
    ]
    assert silent == []


def test_nothing_speaks_of_one_machine():
    """No file that travels with the project holds a path of the machine it was written on."""
    found = []
    for path in _project_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        if _short(path) not in PATHS_ALLOWED:
            found += [f"{_short(path)}: {hit.group()}" for hit in MACHINE_PATH.finditer(text)]
    assert found == []


def test_exceptions_to_the_path_rule_are_still_needed():
    """A file is on the list of exceptions only while it needs to be."""
    idle = [
        name
        for name in PATHS_ALLOWED
        if not (ROOT / name).is_file()
        or not MACHINE_PATH.search((ROOT / name).read_text(encoding="utf-8"))
    ]
    # This file holds the rule as a pattern, not as a path.
    assert set(idle) <= {"tests/test_house.py"}


def _leaves() -> list[type[errors.TriageError]]:
    return [
        cls
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, errors.TriageError) and cls is not errors.TriageError
    ]


@pytest.mark.parametrize("leaf", _leaves(), ids=lambda leaf: leaf.__name__)
def test_error_is_explained_in_one_sentence(leaf):
    """Each error says in one sentence when it is met."""
    text = " ".join((leaf.__doc__ or "").split())
    assert re.fullmatch(r"[A-Z][^.]+\.", text), text


def _table_rows(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return [row for row in rows if not set(row[0]) <= {"-", " ", ":"}]


def test_every_error_is_documented():
    """`docs/reference/errors.md` lists exactly the errors there are, with their exit codes."""
    rows = _table_rows(ROOT / "docs/reference/errors.md")
    written = {tuple(row) for row in rows if re.fullmatch(r"`[A-Z]\w+`", row[0])}
    expected = {
        (f"`{leaf.__name__}`", str(int(leaf.exit_code)), " ".join((leaf.__doc__ or "").split()))
        for leaf in _leaves()
    }
    assert written == expected


def test_every_exit_code_is_documented():
    """`docs/reference/errors.md` explains exactly the exit codes there are."""
    rows = _table_rows(ROOT / "docs/reference/errors.md")
    written = {(row[0], row[1]) for row in rows if row[0].isdigit() and row[2]}
    assert written == {(str(int(code)), code.name) for code in errors.Exit}


def test_every_lint_exception_has_a_reason():
    """Beside each rule that ruff is told to ignore stands why."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lint = "".join(
        re.findall(r"^\[tool\.ruff\.lint.*?(?=^\[tool\.mypy)", text, re.MULTILINE | re.DOTALL)
    )
    codes = re.findall(r'^  "[A-Z]+\d*",?(.*)$', lint, re.MULTILINE)
    assert codes
    assert [rest for rest in codes if not re.match(r"\s*# \w", rest)] == []


def test_layers_have_no_exceptions():
    """The import contracts hold without a single ignored import."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    assert contracts[0]["exhaustive"] is True
    assert [name for c in contracts for name in c.get("ignore_imports", [])] == []


def test_readers_can_follow_every_decision():
    """Decision records are numbered without gaps and have context, decision, consequence."""
    records = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [path.name[:4] for path in records] == [f"{n:04}" for n in range(1, len(records) + 1)]
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequence",
        ], path


def test_documents_name_modules_that_exist():
    """A module that a document names by its path is there; examples stand in angle brackets."""
    pages = [ROOT / "CONTRIBUTING.md", ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    missing = [
        f"{_short(page)}: {name}"
        for page in pages
        for name in re.findall(r"`(?:lib/loomtriage/)?([a-z_/]+\.py)`", page.read_text("utf-8"))
        if not (LIB / name).is_file() and not (ROOT / name).is_file()
    ]
    assert missing == []
