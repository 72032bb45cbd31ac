"""The lab commands: what they say to somebody who drills."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loomtriage.cli import main
from loomtriage.drills.guards import refuse_marks
from loomtriage.drills.lock import drill_lock
from loomtriage.drills.loopback import refuse_strangers
from loomtriage.drills.rows import Marks
from loomtriage.errors import Refused
from loomtriage.lab import LabState, control
from loomtriage.lab.state import write_state
from loomtriage.settings import settings

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/lab.md"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with what is left of one lab: its state, and no process."""
    monkeypatch.setenv("LOOMTRIAGE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    root = settings().home_dir() / "labs" / "mine"
    root.mkdir(parents=True)
    state = LabState(
        lab_id="abc", root=root, supervisor_pid=1, started_at=datetime.now(UTC), env="sandbox",
        ports={"postgres": 1}, token="t",
    )  # fmt: skip
    write_state(state)
    yield settings().home_dir()
    settings.cache_clear()


def run(*words):
    with pytest.raises(SystemExit) as left:
        main([*words])
    return left.value.code


@pytest.mark.parametrize("runs", [True, False])
def test_lab_down_says_whose_drill_it_cuts_off(home, capsys, runs):
    """Whoever takes a lab down under a drill is told; which drill it is stays untold."""
    if runs:
        with drill_lock(home, "abc"):
            assert run("lab", "down", "--name", "mine") == 0
    else:
        assert run("lab", "down", "--name", "mine") == 0
    told = re.search(
        r"A drill runs in this lab \(process \d+ since 20\S+\)", capsys.readouterr().err
    )
    assert bool(told) is runs


@pytest.mark.usefixtures("home")
def test_a_drill_in_a_lab_that_is_not_there_names_a_quiet_one(tmp_path, capsys):
    """A lab under load refuses every drill, so the hint does not make one."""
    assert run("drill", "placebo", "--lab", "none", f"--out={tmp_path / 'runs'}") == 2
    assert "`loomtriage lab up --load 0 --name none`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "refuse",
    [
        lambda: refuse_marks(Marks(project="", env="", lab_id=""), lab_id="abc"),
        lambda: refuse_strangers(["http://example.org"]),
    ],
)
def test_a_refusal_advises_a_lab_that_serves(refuse):
    """Following the hint leads to a lab in which drills run."""
    with pytest.raises(Refused) as refused:
        refuse()
    assert "`loomtriage lab up --load 0`" in refused.value.hint


def test_the_page_lists_calls_that_exist():
    """Each call of the page's table can be made."""
    table = PAGE.read_text(encoding="utf-8").partition("| call |")[2].partition("\n\n")[0]
    calls = [
        name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]
    assert len(calls) > 5
    assert [name for name in calls if not hasattr(control, name)] == []
