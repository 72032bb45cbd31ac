"""Plan file: what was looked at is what is replayed, or nothing is."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from loomtriage.closeout.plan_file import (
    LIFE,
    Plan,
    PlannedBucket,
    PlannedRow,
    read_plan,
    refuse_old,
    write_plan,
)
from loomtriage.closeout.target import Target, refuse_other_target, refuse_unconfirmed
from loomtriage.errors import BundleDamaged, Refused, UsageError
from tests.make import T0

TARGET = Target(
    host="127.0.0.1", port=5432, system="77", database="d", project="wordloom", env="sandbox"
)
BUCKET = PlannedBucket(
    number=1,
    reason="mapping_conflict",
    template="<n>",
    entity_type="block",
    op="upsert",
    replays=0,
    overtaken=False,
    n=2,
    first="2026-03-01T12:00:00.000Z",
    last="2026-03-01T12:00:01.000Z",
    examples=("a",),
    action="fix_data",
    offer="all",
    why="because",
    first_do="repair",
    needs_note=True,
)


def a_plan(**other):
    """A plan of two rows."""
    given = {
        "made_at": T0,
        "made_by": "ada",
        "target": TARGET,
        "projection": "p",
        "table": "t",
        "quiet_s": 60.0,
        "counts": {"failed": 2},
        "buckets": (BUCKET,),
        "rows": (PlannedRow("a", 1, 0, 5, "x", 1), PlannedRow("b", 1, 0, 6, "y", 1)),
    }
    return Plan(**{**given, **other})


def test_a_plan_comes_back_as_it_was_written(tmp_path):
    """Rows, states, buckets and target; and its digest is that of the dry run."""
    plan = a_plan()
    digest = write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    assert read_plan(tmp_path / "plan.json").digest() == digest
    assert (tmp_path / "plan.json").stat().st_mode & 0o077 == 0


def test_a_plan_is_never_overwritten(tmp_path):
    """Two plans are two files."""
    write_plan(a_plan(), tmp_path / "plan.json")
    with pytest.raises(UsageError, match="Cannot write the plan"):
        write_plan(a_plan(), tmp_path / "plan.json")


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: c["rows"].append(["c", 1, 0, 7, "z", 1]),
        lambda c: c["rows"].pop(),
        lambda c: c["target"].update(env="dev"),
        lambda c: c["buckets"][0].update(needs_note=False),
        lambda c: c.update(made_at="2026-03-02T12:00:00.000Z"),
        lambda c: c.update(schema=9),
        lambda c: c.pop("sha256"),
    ],
)
def test_an_edited_plan_is_refused(edit, tmp_path):
    """One row more, another database, a later time: whoever edits a plan has none."""
    path = tmp_path / "plan.json"
    write_plan(a_plan(), path)
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    with pytest.raises(BundleDamaged):
        read_plan(path)


def test_an_old_plan_is_refused():
    """It speaks of rows as they were."""
    refuse_old(a_plan(), now=T0 + LIFE)
    with pytest.raises(Refused, match="16 min old"):
        refuse_old(a_plan(), now=T0 + LIFE + timedelta(minutes=1))


def test_a_plan_of_the_future_is_refused():
    """A clock that was wrong would let it live on; a few seconds between two clocks are none."""
    refuse_old(a_plan(), now=T0 - timedelta(seconds=5))
    with pytest.raises(Refused, match="6 s from now"):
        refuse_old(a_plan(), now=T0 - timedelta(seconds=6))


def test_the_way_to_a_database_may_differ_and_the_database_may_not():
    """A replica or a tunnel is the same system; another lab, name or environment is not."""
    refuse_other_target(TARGET, Target(**{**TARGET.as_json(), "host": "db", "port": 1}))
    for changed in ({"system": "78"}, {"database": "e"}, {"env": "dev"}, {"lab_id": "x"}):
        with pytest.raises(Refused):
            refuse_other_target(TARGET, Target(**{**TARGET.as_json(), **changed}))


@pytest.mark.parametrize(("env", "typed"), [("sandbox", ""), ("sandbox", "prod"), ("", "sandbox")])
def test_an_environment_that_nobody_confirmed_is_refused(env, typed):
    """The sentinel's own word must be typed; without a sentinel there is nothing to confirm."""
    with pytest.raises(Refused):
        refuse_unconfirmed(Target(**{**TARGET.as_json(), "env": env}), typed)
