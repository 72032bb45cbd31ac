"""Killed at any moment: nothing is lost, nothing is replayed twice."""

from __future__ import annotations

import pytest

from loomtriage.closeout.plan_file import write_plan
from tests.closeout.failed import fill, planned, settling
from tests.closeout.killed import replay_under_fire

pytestmark = pytest.mark.lab


def test_a_replay_that_is_killed_goes_on_where_it_was(dsn, replayer_dsn, tmp_path):
    """Whatever a kill interrupts, row and audit are both written or neither."""
    fill(dsn, failed=1500)
    write_plan(planned(dsn, most=1500), tmp_path / "plan.json")
    with settling(dsn, most=1):
        told = replay_under_fire(
            dsn, replayer_dsn, tmp_path / "plan.json", batch=20, every_rows=300
        )
    assert told.kills
    assert (told.lost, told.double, told.audited) == (0, 0, 1500)
