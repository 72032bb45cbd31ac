"""The incident stage tells what was seen, in order, and leaves to people what only they know."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import pytest

from loomtriage import incident, open_case
from loomtriage.errors import BundleDamaged
from loomtriage.model import State
from loomtriage.model.window import parse_instant
from loomtriage.report.postmortem import PEOPLE, Story
from loomtriage.stages.incident_story import story
from loomtriage.stages.incident_told import tell
from tests.stages.whole import blind, triage


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run folder in the making, with what the path left of one drill."""
    place = tmp_path_factory.mktemp("run")
    triage("example:es_429", place)
    return place


@pytest.fixture(scope="module")
def told(folder):
    """Results of the stage on recorded drills, each once: one from its folder, others by hand."""
    found = {}

    def of(drill: str):
        if drill not in found:
            left = str(folder) if drill == "es_429" else ""
            found[drill] = incident(open_case("incident", source=f"example:{drill}", handover=left))
        return found[drill]

    return of


def _story(result) -> Story:
    return Story.from_json(json.loads(json.dumps(result.conclusion)))


@pytest.mark.parametrize(
    ("drill", "sources"),
    [
        ("es_429", {"metrics", "traces", "logs", "rows"}),
        ("es_poison_4xx", {"metrics", "traces", "logs", "rows"}),
        ("stuck_reclaim", {"metrics", "logs"}),
        ("placebo", set()),
    ],
)
def test_the_timeline_is_what_the_signals_saw(told, drill, sources):
    """Moments come in order of time, each with a question to ask; no fault has no timeline."""
    timeline = _story(told(drill)).timeline
    assert {moment.source for moment in timeline} == sources
    times = [parse_instant(moment.at) for moment in timeline]
    assert times == sorted(times)
    assert [moment for moment in timeline if not moment.query or not moment.says] == []


def test_every_moment_of_a_server_has_its_address(told):
    """Metrics and traces lead to their server; lines and rows to the trace they belong to."""
    timeline = _story(told("es_429")).timeline
    assert {m.source for m in timeline if m.url} == {"metrics", "traces", "logs", "rows"}


def test_the_cause_comes_with_what_it_was_not(told):
    """Facts that carry the cause, and the look-alikes with what ruled them out."""
    story = _story(told("es_poison_4xx"))
    counted = r"\d+ × failed with mapping_conflict \(0\.0 expected\)"
    assert [said for said in story.because if re.fullmatch(counted, said)]
    assert ("the index refuses writes (es_write_block)", "the status is 400, not 403") in (
        story.rejected
    )


def test_the_close_out_state_counts_rows(told):
    """What failed for good stands first, with the moment at which the outbox was asked."""
    story = _story(told("es_poison_4xx"))
    *what, count = story.rows[0][:3]
    assert what == ["search_index_to_elastic", "failed"]
    assert int(count) > 0
    assert story.rows_note.startswith("As of 20")
    counted = f"{count} rows (upsert on search_index_to_elastic) had failed for good"
    assert any(counted in said for said in story.summary)


def test_two_faults_at_once_do_not_contradict_each_other(folder):
    """What was wrong at the same time stands in the summary, and not among what was rejected."""
    case = open_case("incident", source="example:es_429", handover=str(folder))
    seen = tell(case)
    both = replace(seen, conclusion={**seen.conclusion, "also": ["es_poison_4xx"]})
    one, two = (story(case, t, timeline=(), rows=case.pull("rows")) for t in (seen, both))
    poison = "poison documents (es_poison_4xx)"
    assert poison in {name for name, _ in one.rejected}
    assert poison not in {name for name, _ in two.rejected}
    assert two.summary[1] == "At the same time: poison documents."


def test_no_fault_is_told_as_none(told):
    """A quiet run has no impact, no rejected causes, and its summary says that nothing moved."""
    story = _story(told("placebo"))
    assert (story.impact, story.rejected, story.because) == ((), (), ())
    assert len(story.summary) == 1


def test_the_headline_speaks_of_the_draft(told):
    """OK means that there is enough to tell, and does not read as if the incident were fine."""
    assert told("es_429").verdict.headline.startswith("There is enough to tell: ")


def test_what_only_people_know_is_empty(told):
    """The sections for people are there, marked, and hold no word about this incident."""
    rows = told("es_429").table("people").rows
    assert [name for name, _ in rows] == [name for name, _ in PEOPLE]
    assert all(text.startswith("To be filled by a person.") for _, text in rows)
    assert rows == told("placebo").table("people").rows


def test_the_stage_leaves_its_story_in_the_run_folder(told, folder):
    """What the notebook showed is what the report is made from."""
    left = json.loads((folder / "stages" / "incident.json").read_bytes()) if told("es_429") else {}
    assert Story.from_json(left["conclusion"]) == _story(told("es_429"))


def test_a_lost_outbox_is_named_and_nothing_is_made_up(folder):
    """Without rows there is no close-out state, only why; the rest is told."""
    case = open_case("incident", source="example:es_429", handover=str(folder))
    result = incident(blind(case, ("rows",)))
    story = _story(result)
    assert story.rows == ()
    assert story.rows_note.startswith("The outbox said nothing: not_configured.")
    assert not any("outbox" in said for said in story.summary)
    assert {f.check: f.state for f in result.verdict.findings}["incident.rows"] is State.NO_DATA
    assert {m.source for m in story.timeline} == {"metrics", "traces", "logs"}


def test_nothing_at_all_is_no_story():
    """With every signal gone the stage says so instead of telling one."""
    case = open_case("incident", source="example:es_429")
    result = incident(blind(case, ("metrics", "traces", "logs", "rows")))
    story = _story(result)
    assert story.timeline == ()
    assert story.summary[0].startswith("No cause is named: ")
    assert result.verdict.state is State.NO_DATA


def test_a_result_that_is_none_is_refused(folder, tmp_path):
    """A stage's file that does not parse stops the report; it is not told around it."""
    shutil.copytree(folder, tmp_path / "run")
    (tmp_path / "run" / "stages" / "explain.json").write_text("{}", encoding="utf-8")
    case = open_case("incident", source="example:es_429", handover=str(tmp_path / "run"))
    with pytest.raises(BundleDamaged, match=r"explain\.json"):
        incident(case)
