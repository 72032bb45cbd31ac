"""What a verdict asks for: in the order of work, each thing once, for the source that was asked."""

from __future__ import annotations

import pytest

from loomtriage.cli.terminal import show
from loomtriage.report.page import Page, markdown
from loomtriage.runner.strip import strip
from loomtriage.runner.verdict import _actions, fitted
from tests.report.make import START
from tests.stages.whole import verdict_of

BOTH = "example:es_429_and_poison"
REMEDY = "start it, then restart the worker, which looks for it once, at its start."


def kinds(source: str) -> list[str]:
    return [action["kind"] for action in verdict_of(source)["actions"]]


def test_two_causes_and_their_rows_are_three_steps_the_check_last():
    """Failed rows are closed out where their cause is mended, and looked at again after that."""
    assert kinds(BOTH) == ["scale", "fix_data", "check"]
    mend = verdict_of(BOTH)["actions"][1]
    assert "failed rows (mapping_conflict" in mend["says"]
    assert mend["command"].startswith("loomtriage close-out plan")


def test_rows_that_ask_for_the_same_are_said_with_their_cause():
    """A bucket of the one cause is no second step, and a quiet system asks for nothing."""
    assert kinds("example:es_poison_4xx") == ["fix_data", "check"]
    assert kinds("example:placebo") == ["nothing"]


def test_rows_that_ask_for_something_else_keep_their_own_step():
    """Control: only what asks for the same is said together."""
    bucket = {"kind": "fix_data", "says": "4 failed rows.", "command": "loomtriage close-out plan"}
    scale, mend, check = _actions(("es_429",), {"close_out": [bucket]}, {})
    assert (scale["kind"], mend, check["kind"]) == ("scale", bucket, "check")


@pytest.mark.parametrize(
    ("source", "asks"),
    [("live", "live"), ("lab:mine", "lab:mine"), (BOTH, "SOURCE"), ("run:x", "SOURCE")],
)
def test_commands_fit_the_source_of_the_run(source, asks):
    """What runs can be asked again; a recording leaves open where its system is."""
    commands = [a["command"] for a in fitted(verdict_of(BOTH), source)["actions"] if a["command"]]
    assert commands
    assert all(f"--source {asks} " in command for command in commands)


@pytest.mark.parametrize(("as_json", "asks"), [(False, "lab:mine"), (True, "SOURCE")])
def test_the_terminal_asks_the_source_and_json_is_as_stored(capsys, as_json, asks):
    """What a person reads can be run as it stands; `verdict.json` names no source."""
    show(None, verdict_of(BOTH), source="lab:mine", as_json=as_json)
    assert f"close-out plan --source {asks} " in capsys.readouterr().out


def test_the_strip_names_every_cause_and_cuts_no_remedy():
    """What helps stands at the end of a sentence, however long it is."""
    verdict = {**verdict_of(BOTH), "missing": [{"why": f"{'traces are gone; ' * 20}{REMEDY}"}]}
    said = strip(verdict)
    assert "es_429 (confidence 0.9), also es_poison_4xx" in said
    assert REMEDY in said
    assert "increase of reason=rate_limited: " in said


def test_a_line_as_evidence_tells_its_error():
    """The event alone says nothing of what went wrong."""
    told = [e["says"] for e in verdict_of(BOTH)["evidence"] if e["kind"] == "log_line"]
    assert any("outbox.row_failed: document_parsing_exception" in says for says in told)
    assert not [says for says in told if "of these rows" in says]


def test_the_summary_goes_on_after_a_sentence_without_a_colon():
    """A command after a full stop is a command, not what the sentence explains."""
    page = Page(title="t", verdict_json=verdict_of(BOTH), generated_at=START)
    check = next(line for line in markdown(page).splitlines() if "must be none" in line)
    assert "must be none. `loomtriage path" in check


def test_an_unknown_cause_says_where_to_look_first_and_says_it_once():
    """The step that got slower points at its server; what the head says is not said again."""
    verdict = verdict_of("example:slow_es")
    (step,) = verdict["actions"]
    assert "look first at Elasticsearch" in step["says"]
    assert "loomtriage pivot" in step["says"]
    assert "no span or line names" not in verdict["why"]
    why = verdict["headline"].partition(": ")[2]
    assert markdown(Page(title="t", verdict_json=verdict, generated_at=START)).count(why) <= 2
