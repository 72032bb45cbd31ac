"""A runner that is killed anywhere."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from random import Random

import pytest

from loomtriage.drills.book import DRILLS
from loomtriage.drills.digest import take_digest
from loomtriage.drills.drill import LoadPlan
from loomtriage.drills.effects import check_effects
from loomtriage.drills.faults.http import HttpRefuse, proxy_state
from loomtriage.drills.journal import journals, read
from loomtriage.drills.record import POINTS, Step, parse_point
from loomtriage.drills.replay import replay_failed
from loomtriage.drills.restore import recover
from loomtriage.drills.steady import wait_steady
from loomtriage.errors import Refused
from loomtriage.model import State
from tests.drills.rehearsal import (
    ES_DOWN,
    LONGER,
    PLACEBO,
    home_of,
    in_a_process,
    left_behind,
    now,
    rehearse,
)

pytestmark = pytest.mark.lab


def kill_and_recover(lab, point, drill=ES_DOWN):
    """Kill a runner at that point, recover, and compare the lab with what it was."""
    before = take_digest(lab)
    assert in_a_process(lab.root, {str(point): signal.SIGKILL}, drill) == -signal.SIGKILL
    written = point.step is not Step.LOCK or point.position.value == "after"
    closed = point == POINTS[-1]
    report = recover(home_of(lab), say=lambda _line: None)
    assert report.state is State.OK, report
    assert len(report.findings) == int(written and not closed)
    assert take_digest(lab).differs(before.parts) == ()
    assert left_behind(lab) == []


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_recover_brings_the_lab_back_wherever_the_runner_was_killed(lab, point):
    """After kill -9 at any of the 24 points, `recover` leaves the lab as it was."""
    kill_and_recover(lab, point)


@pytest.mark.soak
@pytest.mark.parametrize("round_", range(5))
@pytest.mark.parametrize("point", POINTS, ids=str)
def test_recover_again_and_again(lab, point, round_):
    """The same, five times, with the placebo as well."""
    kill_and_recover(lab, point, PLACEBO if round_ % 2 else ES_DOWN)


@pytest.mark.parametrize("name", ["es_write_block", "es_poison_4xx", "db_contention"])
def test_recover_takes_back_faults_of_every_sort(lab, name):
    """A setting, spoilt rows and held locks are taken back from the journal like a proxy rule."""
    drill = replace(DRILLS.get(name, noun="drill"), load=LoadPlan(per_s=20), expect=())
    kill_and_recover(lab, parse_point("observe:before"), drill)


@pytest.mark.soak
@pytest.mark.parametrize("point", ["intent:after", "applied:mid", "observe:after", "reverted:mid"])
@pytest.mark.parametrize("name", list(DRILLS))
def test_every_drill_of_the_book_survives_kill_9(lab, name, point):
    """Whatever a drill does to the lab, its journal alone undoes it, at every kind of moment."""
    kill_and_recover(lab, parse_point(point), DRILLS.get(name, noun="drill").drawn(1))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100))
def test_kill_9_at_any_moment_of_any_drill(lab, seed):
    """Whichever drill is killed whenever, recovery leaves nothing lost, doubled or standing."""
    draw = Random(seed)
    drill = DRILLS.get(draw.choice(list(DRILLS)), noun="drill").drawn(seed)
    before, since = take_digest(lab), now()
    in_a_process(lab.root, {}, drill, killed_after_s=draw.uniform(0.1, 9.0))
    report = recover(home_of(lab), say=lambda _line: None)
    assert report.state in {State.OK, State.NO_DATA}, report
    assert left_behind(lab) == []
    assert wait_steady(lab, within_s=40, say=lambda _line: None, pause=time.sleep).lacking == ""
    replay_failed(lab, since=since)
    assert check_effects(lab, since=since).state in {State.OK, State.NO_DATA}
    assert take_digest(lab).differs(before.parts) == ()


def test_next_drill_is_refused_until_recovery(lab):
    """While a killed drill's journal is open no other starts; the broken run stays readable."""
    home = home_of(lab)
    in_a_process(lab.root, {"observe:before": signal.SIGKILL})
    with pytest.raises(Refused, match="is open: its drill got as far as verified"):
        rehearse(lab)
    assert recover(home, say=lambda _line: None).state is State.OK
    contents = read(journals(home)[-1])
    assert contents.last(Step.VERIFIED) is not None
    assert contents.records[-1].detail["interrupted"] is True
    assert recover(home, say=lambda _line: None).findings == ()


def test_damaged_journal_heals_everything_before_it_is_set_aside(lab):
    """A journal damaged in its middle is refused with the byte, then every fault is taken back."""
    home = home_of(lab)
    in_a_process(lab.root, {"observe:before": signal.SIGKILL})
    path = journals(home)[-1]
    data = bytearray(path.read_bytes())
    place = data.index(b"\n") + 20
    data[place] ^= 1
    path.write_bytes(data)
    first = data.index(b"\n") + 1
    with pytest.raises(Refused, match=f"is damaged: a damaged line at byte {first}"):
        rehearse(lab)
    report = recover(home, say=lambda _line: None)
    assert report.state is State.WARN, report
    assert path.with_suffix(".damaged").exists()
    assert left_behind(lab) == []


def test_lease_ends_by_itself(lab):
    """Without a runner, a keeper or any further command the proxy heals when the lease ends."""
    assert HttpRefuse().lease_s <= 10
    HttpRefuse(lease_s=2.0).bind(lab, fault_id="leased").apply()
    assert not proxy_state(lab).listening
    end = time.monotonic() + 40
    while proxy_state(lab).faults or not proxy_state(lab).listening:
        assert time.monotonic() < end, "the fault outlived its lease"
        time.sleep(0.2)
    assert left_behind(lab) == []


def test_living_runner_keeps_its_fault_beyond_one_lease(lab):
    """The lease is renewed while the drill goes on."""
    drill = replace(ES_DOWN, fault=HttpRefuse(lease_s=6.0))
    result = rehearse(lab, drill, times=replace(LONGER, fault_s=8.0))
    assert result.state is State.OK, result
