"""The debrief: what to type, what to read there, and what misled; nothing of it is wrong."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from loomtriage.case import open_case
from loomtriage.errors import BundleDamaged
from loomtriage.train.answers import Stamped, answers_from
from loomtriage.train.debrief import VERDICT, _alikes, _kept, _next, _strip
from loomtriage.train.engine import Found
from loomtriage.train.looks import HINTS, names
from loomtriage.train.offline import play_offline
from loomtriage.train.pool import Level, recorded_runs
from loomtriage.train.rounds import Mode, Opened
from loomtriage.train.score import Proven, score
from loomtriage.train.shortest import shortest
from loomtriage.train.truth import drill_of, promise
from tests.train.rounds import EXAMPLES, RIGHT, TRUTH, order, pool_of

RUNS = {one.folder.name: one for one in recorded_runs(EXAMPLES)}


def way(name, **said):
    """The shortest path through a recorded run."""
    run = RUNS[name]
    verdict = {**json.loads((run.folder / "verdict.json").read_text()), **said}
    case = open_case("path", source=f"run:{run.folder}")
    return shortest(drill_of(run.truth.as_json()), run.truth, Found(verdict=verdict), case)


def alikes(truth, **said):
    """The section on look-alikes for such answers."""
    return _alikes(drill_of(truth.as_json()), answers_from({**RIGHT, **said}), truth)


@pytest.mark.parametrize("name", RUNS)
def test_each_run_has_a_path_that_can_be_typed(name):
    """Each row says what to type, which is no hint, and what to read there."""
    rows = way(name).rows
    assert rows
    for typed, read, _query in rows:
        looks = [word.removeprefix("?") for word in typed.split()]
        assert not set(looks) & set(HINTS)
        assert set(looks) <= set(names())
        assert len(read.split()) > 3


def test_a_line_shows_its_text_and_a_metric_its_query():
    """What can be pasted is there: PromQL with labels, the line's words and its hash."""
    panel, _spans, line = way("es_down").rows
    assert panel[0] == "?retry_scheduled"
    assert panel[2] == (
        'sum(increase(outbox_retry_scheduled_total{projection="search_index_to_elastic",'
        'reason="es_unreachable"}[1m]))'
    )
    assert line[0] == "?lines"
    assert "Connection refused" in line[1]
    lines = open_case("path", source="example:es_down").pull("lines").data
    (refused,) = lines[lines["sha256"].str.startswith(line[1][-17:-1])].to_dict("records")
    assert line[1].endswith(f"({refused['sha256'][:16]})")
    assert "Connection refused" in dict(refused["fields"])["error"]


def test_a_version_is_shown_by_the_line_that_carries_it():
    """Where no metric tells, the path leads to the field that does."""
    (row,) = way("projection_version").rows
    assert row[0] == "?lines"
    assert "projection_version=2, before it projection_version=1" in row[1]


def test_two_faults_are_both_on_the_path():
    """The quiet one has its panel beside the loud one."""
    assert {"?retry_scheduled", "?terminal_failed"} <= {
        row[0] for row in way("es_429_and_poison").rows
    }


def test_a_wrong_triage_is_no_path():
    """What a wrong verdict pointed at is left out, and that it was wrong is said."""
    told = way("es_down", cause="es_429")
    assert [row[0] for row in told.rows] == ["?retry_scheduled"]
    assert "was wrong" in told.note


def test_an_abstention_took_it_for_nothing():
    """`unknown` is no look-alike; a wrong cause that is known as one is told apart."""
    assert alikes(TRUTH, cause="unknown").verdict.findings[0].says == "You abstained."
    told = alikes(TRUTH, cause="es_429").verdict.findings[0].says
    assert told.startswith("You took it for es_429. ")


def test_an_incident_of_ones_own_has_the_look_alikes_of_its_cause():
    """The book tells apart what has no drill of its own, by the drill of the same cause."""
    own = replace(TRUTH, drill="", causes=("es_429",))
    says = alikes(own, cause="es_down").verdict.findings[0].says
    assert says.startswith("You took it for es_down. ")
    assert "no known" not in says


def test_the_confidence_is_in_what_was_said():
    """Beside the true cause stands what the stated confidence was in."""
    final = answers_from({**RIGHT, "cause": "es_429", "sure": 0.8})
    came = score(TRUTH, [Stamped(after_s=1.0, answers=final)], limit_s=60, proven=Proven())
    strip = _strip(TRUTH, final, came, Found(verdict={"cause": "es_429"}), is_live=False)
    assert strip["cause"] == "es_down"
    assert strip["confidence"] == "yours 80% in es_429"


def test_a_promise_is_kept_only_when_it_was_checked(tmp_path):
    """Another commit than that of the truth is refused, not called kept."""
    made = promise(TRUTH)
    opened = Opened(
        id="r", commit=made.commit, mode=Mode.OFFLINE, level=Level.BASIC, source="run:x",
        folder=tmp_path, limit_s=20,
    )  # fmt: skip
    assert "kept" in _kept(opened, made, TRUTH).verdict.headline
    with pytest.raises(BundleDamaged, match="promised was"):
        _kept(replace(opened, commit="0" * 64), made, TRUTH)


def test_the_first_command_of_the_debrief_works(tmp_path, monkeypatch):
    """The telemetry is found from the folder where the command was typed."""
    monkeypatch.chdir(tmp_path)
    pool = pool_of(tmp_path / "past", "placebo")
    closed = play_offline(
        order(tmp_path, pool),
        lambda _: (Stamped(after_s=1.0, answers=answers_from({"wrong": "no", "sure": 1.0})),),
        say=lambda _: None,
        opened=lambda _: None,
    )
    program, command, option, source = shlex.split(_next(closed.opened, None)[0])
    assert (program, command, option) == ("loomtriage", "path", "--source")
    assert not Path(source.partition(":")[2]).is_absolute()
    assert open_case("path", source=source).window
    assert source in closed.debrief.read_text()
    assert json.loads(closed.debrief.with_name(VERDICT).read_text())["cause"] == "none"
