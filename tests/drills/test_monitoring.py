"""Monitoring in the lab: every query finds something, and the rules are evaluated."""

from __future__ import annotations

import time
from urllib.parse import urlencode

import pytest

from loomtriage.contract.alerts import ALERTS, rules_data
from loomtriage.contract.board import PANELS
from loomtriage.contract.panels import concrete
from loomtriage.contract.recordings import RECORDINGS
from loomtriage.contract.rules import LAB, expression
from loomtriage.drills.loopback import ask_json
from loomtriage.drills.waiting import wait_until
from loomtriage.lab import LabState, control
from loomtriage.lab.load import Load

pytestmark = pytest.mark.lab


def asked(lab: LabState, query: str) -> list:
    """The series that a query finds now."""
    answer = ask_json(f"{lab.prometheus_url}/api/v1/query?{urlencode({'query': query})}")
    assert answer["status"] == "success", (query, answer)
    return answer["data"]["result"]


QUERIES = [(panel.title, concrete(q.expr, rate="10s")) for panel in PANELS for q in panel.queries]
QUERIES += [(one.name, expression(one, LAB)) for one in RECORDINGS]
QUERIES += [(one.name, one.name) for one in RECORDINGS]


def empty(lab: LabState) -> str:
    """Which queries find nothing yet."""
    return ", ".join(title for title, query in QUERIES if not asked(lab, query))


def test_every_query_of_panels_and_rules_finds_something(lab):
    """With work in both modes no panel and no recorded series stays empty."""
    load = Load(lab.api_url, per_s=8, ops=("upsert", "delete"), seed=7_001)
    control.start(lab, "worker-2", env={"OUTBOX_USE_ES_BULK": "1"})
    load.start()
    try:
        found = wait_until(
            lambda: empty(lab), within_s=40, what="Waiting for samples", say=print, pause=time.sleep
        )
        assert found.lacking == ""
    finally:
        load.stop()
        control.reset(lab)


def test_prometheus_evaluates_every_rule(lab):
    """All rules of the contract are loaded, in order, and none fails."""
    groups = ask_json(f"{lab.prometheus_url}/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    wanted = [rule.get("alert") or rule["record"] for rule in rules_data(LAB)["groups"][0]["rules"]]
    assert [rule["name"] for rule in rules] == wanted
    assert [rule["lastError"] for rule in rules if rule.get("lastError")] == []
    assert len([rule for rule in rules if rule["type"] == "alerting"]) == len(ALERTS)
