"""Monitoring in the lab: every query finds something, and the rules are evaluated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from loomtriage.case import open_case
from loomtriage.contract.alerts import ALERTS, rules_data
from loomtriage.contract.board import PANELS
from loomtriage.contract.keys import SEARCH
from loomtriage.contract.panels import concrete
from loomtriage.contract.recordings import RECORDINGS
from loomtriage.contract.rules import LAB
from loomtriage.contract.rules import expression as rule_expression
from loomtriage.contract.spans import BATCH, SEARCH_SERVICE
from loomtriage.drills.loopback import ask, ask_json
from loomtriage.drills.waiting import wait_until
from loomtriage.evidence import Links
from loomtriage.lab import LabState, control
from loomtriage.lab.load import Load
from loomtriage.model import Scope, Window
from loomtriage.stages.links import counter, expression, graph_url, search_url, trace_url

pytestmark = pytest.mark.lab


def asked(lab: LabState, query: str) -> list:
    """The series that a query finds now."""
    answer = ask_json(f"{lab.prometheus_url}/api/v1/query?{urlencode({'query': query})}")
    assert answer["status"] == "success", (query, answer)
    return answer["data"]["result"]


QUERIES = [(panel.title, concrete(q.expr, rate="10s")) for panel in PANELS for q in panel.queries]
QUERIES += [(one.name, rule_expression(one, LAB)) for one in RECORDINGS]
QUERIES += [(one.name, one.name) for one in RECORDINGS]


def empty(lab: LabState) -> str:
    """Which queries find nothing yet."""
    return ", ".join(title for title, query in QUERIES if not asked(lab, query))


@pytest.fixture(scope="module")
def working(lab: LabState) -> Iterator[LabState]:
    """The lab with work in both modes, and with every query answered."""
    load = Load(lab.api_url, per_s=8, ops=("upsert", "delete"), seed=7_001)
    control.start(lab, "worker-2", env={"OUTBOX_USE_ES_BULK": "1"})
    load.start()
    try:
        found = wait_until(
            lambda: empty(lab), within_s=40, what="Waiting for samples", say=print, pause=time.sleep
        )
        assert found.lacking == "", "a panel or a recorded series stays empty"
        yield lab
    finally:
        load.stop()
        control.reset(lab)


def test_every_query_of_panels_and_rules_finds_something(working):
    """With work in both modes no panel and no recorded series stays empty."""
    assert empty(working) == ""


def test_links_lead_to_what_the_lab_shows(working):
    """What a finding's links ask for is there: the graph's series, the search's traces, a trace."""
    now = datetime.now(UTC)
    case = replace(
        open_case("narrow", source="example:placebo"),
        window=Window(now - timedelta(seconds=20), now + timedelta(seconds=1)),
        baseline=None,
    )
    links = Links(prometheus=working.prometheus_url, jaeger=working.jaeger_url)
    case = replace(case, evidence=replace(case.evidence, links=links))
    scope = Scope(env=working.env, projection=SEARCH, op="upsert", result="ok")
    graph = graph_url(case, expression(counter(scope), scope))
    page = ask("GET", graph)
    if page.is_redirect:  # Debian's package and 3.0 call the page otherwise, and ask it the same
        assert urlsplit(page.headers["location"]).query == urlsplit(graph).query
    else:
        assert page.status_code == 200
    assert asked(working, dict(parse_qsl(urlsplit(graph).query))["g0.expr"])
    # The lab has Jaeger's API without its pages: they ask it for the same, at these addresses.
    for operation, is_there in ((BATCH, True), ("no.such.step", False)):
        search = search_url(case, SEARCH_SERVICE, operation)
        traces = ask_json(search.replace("/search?", "/api/traces?"))["data"]
        assert bool(traces) is is_there
        for trace in traces[:1]:
            url = trace_url(case, trace["traceID"]).replace("/trace/", "/api/traces/")
            assert ask("GET", url).status_code == 200


def test_prometheus_evaluates_every_rule(lab):
    """All rules of the contract are loaded, in order, and none fails."""
    groups = ask_json(f"{lab.prometheus_url}/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    wanted = [rule.get("alert") or rule["record"] for rule in rules_data(LAB)["groups"][0]["rules"]]
    assert [rule["name"] for rule in rules] == wanted
    assert [rule["lastError"] for rule in rules if rule.get("lastError")] == []
    assert len([rule for rule in rules if rule["type"] == "alerting"]) == len(ALERTS)
