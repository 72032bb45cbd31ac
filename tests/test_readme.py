"""What the README tells people to type exists, and what it links to is there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import typer

from loomtriage.cli import app
from loomtriage.runner.strip import strip
from loomtriage.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")

BLOCK = re.compile(r"^```(console|sh|bash|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Programs that the reader's machine brings; what we bring is checked word by word.
FOREIGN = {"cd", "curl", "docker", "export", "git", "jupyter", "pip", "python3", "apt-get", "sudo"}
OURS = {"make", "loomtriage"}


def _commands() -> list[list[str]]:
    """The commands of all blocks: in `console` those after `$`, in `sh` every line."""
    found = []
    for kind, body in BLOCK.findall(TEXT):
        text = body.replace("\\\n", " ")
        for line in text.splitlines():
            if kind == "console" and not line.startswith("$ "):
                continue
            for part in re.split(r"&&|\|\||;|\|", line.removeprefix("$ ")):
                words = shlex.split(part, comments=True)
                if words:
                    found.append(words)
    return found


def _program(words: list[str]) -> str:
    return Path(words[0]).name


def _targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))


def _walk(words: list[str]):
    """The command that a line means, and the words left for it."""
    command = typer.main.get_command(app)
    rest = words[1:]
    while rest and hasattr(command, "commands"):
        assert rest[0] in command.commands, f"{rest[0]} is no command of {command.name}"
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def test_readme_shows_commands():
    """The README gives the reader something to type, and the demo comes first."""
    ours = [" ".join(words) for words in _commands() if _program(words) in OURS]
    assert ours
    assert ours[0] == "make demo"


def test_every_command_is_of_a_known_program():
    """Nothing in the README needs a program that is neither ours nor named here."""
    assert {_program(words) for words in _commands()} <= OURS | FOREIGN


def test_make_targets_exist():
    """Every `make` target of the README is in the Makefile."""
    named = {word for words in _commands() if words[0] == "make" for word in words[1:]}
    assert {word for word in named if "=" not in word} <= _targets()


def test_commands_exist():
    """Every `loomtriage` line of the README is a command, with options that it takes."""
    for words in (w for w in _commands() if _program(w) == "loomtriage"):
        command, rest = _walk(words)
        options = {
            name for param in command.params for name in (*param.opts, *param.secondary_opts)
        }
        given = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert given <= options | {"--help"}, " ".join(words)


def _alike(line: str) -> str:
    """A line of output without what differs from run to run: numbers, ids, times, the source."""
    return re.sub(r"\S*\d\S*", "#", re.sub(r"(--source) \S+", r"\1 #", line))


def test_outputs_are_what_is_printed():
    """Every line of an example output is one that a recorded run prints, in today's words."""
    printed = {_alike("report    runbooks/runs/1-drill/report.html")}
    for drill in ("es_down", "es_poison_4xx"):
        verdict, told = (
            json.loads((ROOT / "runbooks/examples" / drill / name).read_bytes())
            for name in ("verdict.json", "drill.json")
        )
        printed |= set(map(_alike, strip(verdict, drill=told).splitlines()))
    shown = "".join(re.findall(r"^```text\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
    assert [line for line in shown.splitlines() if _alike(line) not in printed] == []


def test_settings_exist():
    """Every variable that the README tells people to set is one that the program reads."""
    named = {
        word.partition("=")[0]
        for words in _commands()
        if words[0] == "export"
        for word in words[1:]
    }
    prefix = Settings.model_config.get("env_prefix", "")
    known = {f"{prefix}{field}".upper() for field in Settings.model_fields}
    # The DSN is a secret: a setting only names the variable that holds it.
    assert named <= known | {Settings.model_fields["database_env"].default}


@pytest.mark.parametrize("words", [["loomtriage", "drll"], ["loomtriage", "lab", "upp"]])
def test_a_misspelt_command_would_be_noticed(words):
    """The check above is able to fail."""
    with pytest.raises(AssertionError, match="is no command"):
        _walk(words)


def test_links_lead_somewhere():
    """Every relative link and image of the README is a file or folder of the project."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", TEXT)
    local = [target for target in targets if "://" not in target and not target.startswith("#")]
    assert [target for target in local if not (ROOT / target).exists()] == []


def test_places_exist():
    """Every file or folder that the README names by its path is there, or made by a run."""
    tops = "|".join(path.name for path in ROOT.iterdir() if path.name[0] != ".")
    named = re.findall(rf"`((?:{tops})[^`\s*]*)`", TEXT)
    assert [
        name
        for name in named
        if not name.startswith("runbooks/runs") and not (ROOT / name).exists()
    ] == []


def test_documents_link_to_what_exists():
    """The same for the pages under docs/, relative to each page."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in sorted((ROOT / "docs").rglob("*.md"))
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []
