"""A replay that is cut short: what is back is told and written down, and the next run goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from loomtriage.cli import main
from loomtriage.cli.closeout import _keep
from loomtriage.closeout.permit import permit
from loomtriage.closeout.plan_file import LIFE, write_plan
from loomtriage.closeout.replay import Outcome, Pace, replay
from loomtriage.closeout.target import connected
from loomtriage.errors import Refused
from tests.closeout.failed import ask, fill, planned, request, settling
from tests.closeout.test_plan_file import a_plan

pytestmark = pytest.mark.lab

FAST = Pace(rows_per_s=0, batch=10, canary_s=20, watch_s=20)
SECRET = "kept-by-nobody-1"
CUT = {
    "Ctrl-C": (KeyboardInterrupt(), "interrupted"),
    "statement timeout": (psycopg.errors.QueryCanceled("statement timeout"), "QueryCanceled"),
}


def _replay(replayer_dsn, plan, say, *, age=timedelta()):
    with connected(replayer_dsn, read_only=False) as session:
        warrant = permit(session, plan, request(plan), now=plan.made_at + age)
        return replay(session, plan, warrant, pace=FAST, say=say)


def _lose_connection(dsn):
    ask(
        dsn,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'loomtriage close-out by ada'",
    )


@pytest.mark.parametrize(("error", "named"), CUT.values(), ids=CUT)
def test_what_is_back_is_told_and_the_same_command_goes_on(dsn, replayer_dsn, error, named):
    """The canary and one batch are back: neither nothing nor all of it."""
    fill(dsn, failed=40)
    plan = planned(dsn)

    def say(line):
        if line.startswith("batch"):
            raise error

    with settling(dsn):
        outcome = _replay(replayer_dsn, plan, say)
        assert named in outcome.stopped
        assert "11 rows are back; run the same command again" in outcome.stopped
        assert (outcome.replayed, int(outcome.exit_code)) == (11, 1)
        again = _replay(replayer_dsn, plan, lambda _line: None)
    assert (again.before, again.replayed, again.stopped) == (11, 29, "")
    assert ask(dsn, "SELECT max(replay_count) FROM search_outbox_events") == [(1,)]


def test_a_plan_that_has_begun_outlives_its_time(dsn, replayer_dsn):
    """Killed after twenty minutes it goes on; one that only now would begin is refused."""
    fill(dsn, failed=30)
    late = LIFE + timedelta(minutes=5)
    unbegun, plan = planned(dsn), planned(dsn)

    def say(line):
        if line.startswith("batch"):
            raise KeyboardInterrupt

    with settling(dsn):
        assert _replay(replayer_dsn, plan, say).replayed == 11
        again = _replay(replayer_dsn, plan, lambda _line: None, age=late)
    assert (again.before, again.replayed, again.stopped) == (11, 19, "")
    # What went first then says little of now: another row does.
    canaries = "SELECT count(*) FROM outbox_replay_audit WHERE is_canary AND plan_sha256 = "
    assert ask(dsn, f"{canaries}'{plan.digest()}'") == [(2,)]
    with settling(dsn):
        assert _replay(replayer_dsn, plan, lambda _line: None, age=late).stopped == ""
    with pytest.raises(Refused, match="20 min old"):
        _replay(replayer_dsn, unbegun, lambda _line: None, age=late)


def test_a_dry_run_judges_an_old_plan_as_the_replay_does(
    dsn, replayer_dsn, monkeypatch, capsys, tmp_path
):
    """One that has begun is looked at however old it is; of one that has not, a new one is made."""
    fill(dsn, failed=30)
    made = planned(dsn)
    unbegun, plan = (replace(made, made_at=made.made_at - 2 * LIFE, made_by=by) for by in "ab")

    def say(line):
        if line.startswith("batch"):
            raise KeyboardInterrupt

    with settling(dsn):
        assert _replay(replayer_dsn, plan, say).replayed == 11
    monkeypatch.setenv("REPLAY_DATABASE_URL", replayer_dsn)
    codes = []
    for name, one in (("begun", plan), ("unbegun", unbegun)):
        write_plan(one, tmp_path / f"{name}.json")
        with pytest.raises(SystemExit) as stopped:
            main(["close-out", "replay", str(tmp_path / f"{name}.json")])
        codes.append(stopped.value.code)
    told = capsys.readouterr()
    assert codes == [0, 5]
    assert "30 min old" in told.err
    assert "close-out plan" in told.err
    assert "19" in told.out


def test_a_lost_connection_leaves_a_record_and_no_secret_in_it(
    dsn, replayer_dsn, monkeypatch, capsys, tmp_path
):
    """The audit comes over another connection; what rows failed with is redacted, not refused."""
    error = f"ConnectError: postgresql://app:{SECRET}@db/x, password={SECRET}, at {tmp_path.home()}"
    fill(dsn, failed=40, reason="es_connect", error=error)
    plan = planned(dsn)
    write_plan(plan, tmp_path / "plan.json")
    monkeypatch.setenv("REPLAY_DATABASE_URL", replayer_dsn)
    monkeypatch.setattr(
        "loomtriage.cli.closeout.say",
        lambda line: _lose_connection(dsn) if line.startswith("batch") else None,
    )
    words = ("--apply", "--by", "ada", "--why", "OPS-17", "--confirm-env", "sandbox")
    words += ("--digest", plan.digest(), "--rate", "500", "--out", str(tmp_path))
    with settling(dsn), pytest.raises(SystemExit) as stopped:
        main(["close-out", "replay", str(tmp_path / "plan.json"), *words])
    assert stopped.value.code == 1
    assert "run the same command again" in capsys.readouterr().out
    (folder,) = tmp_path.glob("*-replay-*")
    entries = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    assert len(entries) == json.loads((folder / "outcome.json").read_text())["replayed"] == 40
    assert all("[redacted]" in entry["before"]["error"] for entry in entries)
    assert SECRET not in "".join(path.read_text() for path in folder.iterdir())


def test_what_no_redaction_knows_is_withheld_and_the_rest_is_kept(monkeypatch, tmp_path):
    """One file says that it would have held a token; plan and outcome are there."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    line = json.dumps({"before": {"error": "sent x-lab-token 0123456789abcdef0123"}})
    outcome = Outcome(replayed=1, settled={"done": 1})
    folder = _keep(a_plan(), outcome, [line], source="live", out=str(tmp_path))
    assert "a token" in json.loads((folder / "audit.jsonl").read_text())["withheld"]
    assert json.loads((folder / "outcome.json").read_text())["replayed"] == 1
    assert len(json.loads((folder / "plan.json").read_text())["rows"]) == 2


def test_a_stop_before_the_cut_keeps_its_word():
    """The canary failed, and then somebody pressed Ctrl-C: the cause is the canary."""
    outcome = Outcome(replayed=1, stopped="the canary failed again")
    outcome.cut_short("interrupted", back=1)
    assert (outcome.stopped, outcome.cut) == ("the canary failed again", "")
