"""Close-out on the command line: what is refused, with which code, and what is only printed."""

from __future__ import annotations

import os

import pytest

from loomtriage.cli import main
from loomtriage.closeout import audit, target
from loomtriage.closeout.plan_file import write_plan
from loomtriage.closeout.plan_words import dry_words, outcome_words, plan_words
from loomtriage.closeout.replay import Outcome
from loomtriage.drills.lock import drill_lock, holder
from loomtriage.errors import SourceUnavailable
from loomtriage.lab.state import write_state
from loomtriage.settings import settings
from tests.closeout.test_plan_file import a_plan
from tests.drills.strangers import hollow_lab


def _run(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main(["close-out", *words])
    told = capsys.readouterr()
    return int(stopped.value.code or 0), told.out, told.err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("plan", "--source", "example:es_down"), "cannot be closed out"),
        (("plan", "--source", "live", "--projection", "gremlins"), "no projection"),
        (("plan", "--source", "live"), "DATABASE_URL"),
        (("replay", "no-such-plan.json"), "no plan"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(capsys, monkeypatch, tmp_path, words, named):
    """One line, what to do, exit code 2; nothing was asked of any database."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "REPLAY_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    if "gremlins" in words:
        monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/d")
    code, _, error = _run(capsys, *words)
    assert code == 2
    assert named in error
    assert len(error.splitlines()) == 1


def test_the_migration_is_printed_and_nothing_else(capsys):
    """It goes into psql as it is."""
    code, out, _ = _run(capsys, "sql")
    assert code == 0
    assert "CREATE TABLE IF NOT EXISTS outbox_replay_audit" in out
    assert "DELETE ON" not in out.replace("OR DELETE OR TRUNCATE ON", "")


def test_words_name_rows_reasons_and_the_next_command():
    """What an operator reads at three in the morning, from plan to report."""
    plan = a_plan()
    told = plan_words(plan, "runs/p.json", "lab")
    assert told.startswith("2 of 2 failed rows may be replayed now.")
    assert "loomtriage close-out replay runs/p.json --source lab   (a dry run)" in told
    dry = dry_words(plan, {"ready": 2, "changed": 0, "before": 0}, plan_path="p", source="lab")
    assert f"--digest {plan.digest()[:12]} --by YOU --why WHY --fixed WHAT" in dry
    stopped = Outcome(replayed=1, stopped="the canary failed again", settled={"failed": 1})
    assert "1 row untouched" in outcome_words(plan, stopped)
    assert int(stopped.exit_code) == 1
    assert int(Outcome(replayed=2, settled={"done": 2}).exit_code) == 0


@pytest.fixture
def lab(monkeypatch, tmp_path):
    """What is left of a lab named default, under a home of its own."""
    monkeypatch.setenv("LOOMTRIAGE_HOME", str(tmp_path))
    settings.cache_clear()
    lab = hollow_lab(tmp_path / "labs" / "default", postgres=1)
    lab.root.mkdir(parents=True)
    write_state(lab)
    write_plan(a_plan(), tmp_path / "plan.json")
    yield lab
    settings.cache_clear()


def test_replay_waits_for_the_drill_that_runs_on_that_lab(capsys, tmp_path, lab):
    """A drill counts its rows and replays what it failed: the refusal names its process."""
    words = ("replay", str(tmp_path / "plan.json"), "--source", "lab", "--apply")
    with drill_lock(tmp_path, lab.lab_id):
        code, _, error = _run(capsys, *words)
    assert code == 5, error
    assert f"The drill lock of this lab is held by process {os.getpid()}" in error
    code, _, error = _run(capsys, *words)  # the control: nobody holds the lab
    assert "drill lock" not in error


def test_no_drill_begins_on_a_lab_while_rows_are_replayed(capsys, monkeypatch, tmp_path, lab):
    """The lab is held until the last row, and free again however that ended."""
    held = []

    def connected(dsn, *, read_only):
        held.append(holder(tmp_path, lab.lab_id).pid)
        raise SourceUnavailable("The database is gone.", hint="")

    monkeypatch.setattr(audit, "has_audit", lambda _dsn: True)
    monkeypatch.setattr(target, "connected", connected)
    words = ("replay", str(tmp_path / "plan.json"), "--source", "lab", "--apply")
    code, _, error = _run(capsys, *words)
    assert (code, held) == (3, [os.getpid()]), error
    assert holder(tmp_path, lab.lab_id) is None


@pytest.mark.parametrize(
    ("dsn", "code"),
    [
        ("user:s3cr3tpw@127.0.0.1/db", 2),
        ("postgresql://user:s3cr3tpw%zz@127.0.0.1/db", 2),
        ("postgresql://user:x/s3cr3tpw@127.0.0.1/db", 2),
        ("postgresql://user:x@s3cr3tpw@127.0.0.1/db", 2),
        ("postgresql://user:s3cr3tpw@127.0.0.1:port/db", 2),
        ("postgresql://user:s3cr3tpw@127.0.0.1:1/db", 3),
    ],
)
def test_no_part_of_a_dsn_is_told_but_its_server(capsys, monkeypatch, tmp_path, dsn, code):
    """Whatever is wrong with it: one line, the variable or the server, and no driver's words."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", dsn)
    got, _, error = _run(capsys, "plan")
    assert got == code
    assert ("DATABASE_URL" if code == 2 else "127.0.0.1:1") in error
    assert "s3cr3tpw" not in error
    assert "defect" not in error
    assert "Error" not in error
