"""Alerts of drills: read from Prometheus, compared with what each drill is meant to raise."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loomtriage.contract.alerts import ALERTS, BY_NAME
from loomtriage.drills.alert_matrix import (
    Cell,
    Raised,
    cell,
    lines,
    offences,
    read_raised,
    unproven,
)
from loomtriage.drills.alerts import alerts_of, first_moments, hear_alerts
from loomtriage.drills.result import Phase
from loomtriage.lab.state import LabState
from loomtriage.model.window import iso
from loomtriage.settings import shipped

START = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
EXAMPLES = shipped("runbooks/examples")


def sampled(name: str, state: str, first_s: float, **labels: str) -> dict[str, object]:
    """A series of `ALERTS` that begins so many seconds after the fault."""
    begin = START.timestamp() + first_s
    metric = {"__name__": "ALERTS", "alertname": name, "alertstate": state, **labels}
    return {"metric": metric, "values": [[begin, "1"], [begin + 1, "1"]]}


def test_pending_and_firing_are_one_alert():
    """An alert that was pending and then fired stands there once, with both moments."""
    (one,) = alerts_of(
        [sampled("A", "firing", 4, env="dev"), sampled("A", "pending", 2, env="dev")], start=START
    )
    assert (one.name, one.labels, one.is_older) == ("A", {"env": "dev"}, False)
    assert one.pending_at == START + timedelta(seconds=2)
    assert one.firing_at == START + timedelta(seconds=4)


def test_what_fired_before_the_fault_is_older():
    """An alert of the drill before is told apart, and dates nothing of this one."""
    found = alerts_of([sampled("A", "firing", -2), sampled("B", "firing", 5)], start=START)
    assert [(one.name, one.is_older) for one in found] == [("A", True), ("B", False)]
    fired = iso(START + timedelta(seconds=5))
    assert first_moments(found) == {"alert_pending": fired, "alert_firing": fired}


def test_no_alert_dates_nothing():
    """Where nothing fired there is no moment, not a zero."""
    assert first_moments(alerts_of([], start=START)) == {}


def test_a_silent_prometheus_is_said_and_not_raised(tmp_path):
    """A drill goes on when nobody can say which alerts there were."""
    lab = LabState(
        lab_id="0" * 16, root=tmp_path, supervisor_pid=1, started_at=START, env="sandbox",
        ports={"prometheus": 9}, token="t",
    )  # fmt: skip
    phases = [
        Phase(name=name, at=iso(START + timedelta(seconds=at)), seconds=1.0)
        for name, at in (("applied", 0), ("reverting", 20))
    ]
    found, notes = hear_alerts(lab, phases)
    assert found == ()
    assert notes[0].startswith("Which alerts fired is not known")


MATRIX = [
    ("es_poison_4xx", {"OutboxTerminalBurst"}, set(), Cell.FIRED),
    ("es_poison_4xx", set(), set(), Cell.MISSED),
    ("placebo", set(), set(), Cell.SILENT),
    ("placebo", {"OutboxTerminalBurst"}, set(), Cell.ALARM),
    ("placebo", {"OutboxTerminalBurst"}, {"OutboxTerminalBurst"}, Cell.SILENT),
    ("es_poison_4xx", {"OutboxTerminalBurst"}, {"OutboxTerminalBurst"}, Cell.FIRED),
]


@pytest.mark.parametrize(("drill", "fired", "older", "expected"), MATRIX)
def test_a_cell_compares_what_fired_with_what_was_meant(drill, fired, older, expected):
    """Missed and uncalled alerts are offences; what the drill before left behind is not."""
    one = Raised(drill=drill, fired=frozenset(fired), older=frozenset(older))
    assert cell(BY_NAME["OutboxTerminalBurst"], one) is expected


def test_an_alert_may_fire_where_it_says_why():
    """A reason that stands in the catalogue is asked for, not a guess."""
    one = Raised(drill="slow_es", fired=frozenset({"OutboxOldestAgeHigh"}), older=frozenset())
    assert cell(BY_NAME["OutboxOldestAgeHigh"], one) is Cell.MAY
    assert offences([one]) == ()


def test_an_alert_without_its_drill_is_not_proven():
    """Where no drill that is meant for an alert was performed, nothing is said to be well."""
    placebo = Raised(drill="placebo", fired=frozenset(), older=frozenset())
    assert set(unproven([placebo])) == {alert.name for alert in ALERTS if alert.fires_in}


def test_runs_that_did_not_look_are_no_proof(tmp_path):
    """A run from before alerts were recorded, or without a witness, is left out, not silent."""
    for name, result in (
        ("old", {"id": "es_down", "witness": ["seen"]}),
        ("blind", {"id": "es_down", "witness": [], "alerts": []}),
        ("whole", {"id": "placebo", "witness": ["none"], "alerts": []}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "drill.json").write_text(json.dumps(result), encoding="utf-8")
    assert [one.drill for one in read_raised(tmp_path)] == ["placebo"]


def test_recorded_drills_raise_what_is_meant_for_them():
    """Every alert fires in its drill, and in no other without a stated reason."""
    raised = read_raised(Path(EXAMPLES))
    if not raised:
        pytest.skip("the examples were recorded before drills listened to alerts")
    assert offences(raised) == (), "\n".join(lines(raised))
    assert unproven(raised) == {}
