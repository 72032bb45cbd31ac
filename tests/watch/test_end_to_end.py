"""From a posted alert to a report: the real path on a recorded run, and what is made of it."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from loomtriage.runner.archive import export, unpack, verify_archive
from loomtriage.runner.incident import REPORT, SUMMARY
from loomtriage.settings import shipped
from loomtriage.sources.manifest import read_manifest
from tests.watch.receiver import Receiver, order, payload, post

EXAMPLES = shipped("runbooks/examples")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The run folder that one alert led to, by way of the receiver and a process of its own."""
    folder = tmp_path_factory.mktemp("watched")
    command = (sys.executable, "-m", "loomtriage.cli", "path")
    given = replace(order(folder, deadline_s=100), command=command)
    with Receiver(given) as receiver:
        assert post(receiver.port, payload(env="sandbox", reason="rate_limited"))[0] == 202
        assert receiver.settled(within_s=100)["done"] == 1, receiver.said
    (sealed,) = given.out.iterdir()
    return sealed


def test_an_alert_becomes_a_sealed_run(run):
    """The path came to its verdict, everything verifies, and the incident report lies beside."""
    assert read_manifest(run).verify(run) > 10
    verdict = json.loads((run / "verdict.json").read_bytes())
    recorded = json.loads((EXAMPLES / "es_429" / "verdict.json").read_bytes())
    assert (verdict["cause"], verdict["scope"]) == (recorded["cause"], recorded["scope"])
    assert (run / REPORT).is_file()
    assert (run / SUMMARY).is_file()


def test_the_alert_stands_in_the_timeline(run):
    """When it fired is part of the story, with what of its labels the contract knows."""
    told = (run / SUMMARY).read_text(encoding="utf-8")
    assert "OutboxRetriesRising started to fire." in told
    assert "`ALERTS, env=sandbox reason=rate_limited`" in told


def test_a_run_travels_as_one_file(run, tmp_path):
    """Exported twice it is the same bytes; elsewhere it verifies, and unpacks to the same run."""
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    assert export(run, one) == export(run, two) == verify_archive(one)[1]
    assert one.read_bytes() == two.read_bytes()
    put = unpack(one, tmp_path / "elsewhere")
    assert read_manifest(put).verify(put) == read_manifest(run).verify(run)
    assert (put / REPORT).read_bytes() == (run / REPORT).read_bytes()


def test_a_resolved_alert_leaves_a_closing_report(tmp_path):
    """It sets the run that the alert started beside the run after it resolved."""
    script = (
        "import sys, json; closing = 'closing' in ' '.join(sys.argv);"
        "print(json.dumps({'folder': 'placebo' if closing else 'es_429'}))"
    )
    given = replace(order(tmp_path), command=(sys.executable, "-S", "-c", script))
    for name in ("es_429", "placebo"):
        shutil.copytree(EXAMPLES / name, given.out / name)
    with Receiver(given) as receiver:
        case = post(receiver.port, payload("aa"))[1]["case"]
        assert post(receiver.port, payload("aa", status="resolved"))[0] == 202
        assert receiver.settled()["done"] == 2, receiver.said
    told = (given.room / "cases" / case / "closing.md").read_text(encoding="utf-8")
    assert told.startswith("# Closed: It was es\\_429; the second run finds no fault, judged by")
    assert "may be the incident" in told
    assert "To be filled by a person" in told
    assert "finds no fault" in " ".join(receiver.said)
