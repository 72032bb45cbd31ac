"""Close-out on the command line: what is refused, with which code, and what is only printed."""

from __future__ import annotations

import pytest

from loomtriage.cli import main
from loomtriage.closeout.plan_words import dry_words, outcome_words, plan_words
from loomtriage.closeout.replay import Outcome
from tests.closeout.test_plan_file import a_plan


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
