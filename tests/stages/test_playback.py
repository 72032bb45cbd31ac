"""Recorded runs play back to the verdict that was recorded, offline, whatever is taken away."""

from __future__ import annotations

import json
import socket

import pytest

from loomtriage.case import open_case
from loomtriage.errors import BundleDamaged
from loomtriage.evidence import examples
from loomtriage.stages import PATH
from tests.stages.whole import EXAMPLES, copy_example, triage, verdict_of

EXPECTED = {"es_down": "es_down", "placebo": "none"}


@pytest.fixture
def _offline(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a play-back opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)


def test_every_drill_has_its_example():
    """The gallery is complete: a drill without a recorded run is a defect."""
    from loomtriage.drills.book import DRILLS

    assert set(examples()) == set(DRILLS.names)


@pytest.mark.parametrize("name", examples())
def test_an_example_is_small(name):
    """Runs are committed with the program, so each stays below 400 KB."""
    sizes = [path.stat().st_size for path in (EXAMPLES / name).rglob("*") if path.is_file()]
    assert 0 < sum(sizes) <= 400_000


@pytest.mark.parametrize("name", examples())
def test_no_two_findings_read_alike(name):
    """In a stage, what holds of one projection and what holds of the other are told apart."""
    findings = json.loads((EXAMPLES / name / "verdict.json").read_text())["findings"]
    told = [(finding["check"].partition(".")[0], finding["says"]) for finding in findings]
    assert told
    assert len(set(told)) == len(told)


@pytest.mark.usefixtures("_offline")
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_an_example_gives_the_recorded_verdict(name, tmp_path):
    """Byte for byte, and without a network."""
    verdict = triage(f"example:{name}", tmp_path)
    recorded = json.loads((EXAMPLES / name / "verdict.json").read_text(encoding="utf-8"))
    assert verdict == recorded
    assert verdict["cause"] == EXPECTED[name]


def test_the_scope_and_step_of_es_down():
    """Narrowed to five keys, located at the client call below the batch, proven by lines."""
    verdict = verdict_of("example:es_down")
    assert verdict["scope"] == {
        "env": "sandbox",
        "projection": "search_index_to_elastic",
        "op": "upsert",
        "reason": "es_unreachable",
        "result": "retry",
    }
    assert verdict["step"]["operation"] == "PUT"
    assert verdict["step"]["path"].startswith("projection.process_batch")
    assert {e["kind"] for e in verdict["evidence"]} >= {"metric_delta", "trace", "log_line"}


def test_evidence_resolves_in_the_recording():
    """Each trace id is a trace that was recorded, each hash a line that was."""
    verdict = verdict_of("example:es_down")
    case = open_case("explain", source="example:es_down")
    traces = set(case.pull("spans").data["trace_id"])
    lines = set(case.pull("lines").data["sha256"])
    for item in verdict["evidence"]:
        if item["kind"] == "trace":
            assert item["ref"] in traces
        if item["kind"] == "log_line":
            assert item["ref"].removeprefix("sha256:") in lines


@pytest.mark.parametrize("victim", ["manifest.json", "tape/index.jsonl", "verdict.json"])
def test_a_damaged_example_is_refused_before_it_is_read(victim, tmp_path):
    """One flipped byte anywhere, and nothing of it is believed."""
    folder = copy_example("es_down", tmp_path)
    path = folder / victim
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleDamaged):
        open_case("narrow", source=f"run:{folder}")


def test_a_check_that_throws_is_an_error_and_not_a_pass():
    """Jepsen's rule: a broken checker never lets anything pass."""
    from loomtriage.stages.result import check_safely

    def broken():
        raise ZeroDivisionError("x")

    (finding,) = check_safely("test.broken", broken)
    assert finding.state == "ERROR"
    assert "ZeroDivisionError" in finding.says


def test_the_stages_come_in_the_order_of_the_path():
    """Metrics narrow, traces locate, logs prove."""
    assert PATH == ("preflight", "narrow", "locate", "explain", "retries", "close")
