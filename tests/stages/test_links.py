"""Links lead to the same counter, step and trace at the same time, on configured servers only."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from loomtriage.case import open_case
from loomtriage.evidence import Links
from loomtriage.model import Scope
from loomtriage.report.links import allowed
from loomtriage.stages.links import grafana_url, prometheus_url, trace_url

BASES = Links(
    prometheus="http://127.0.0.1:9090",
    jaeger="http://127.0.0.1:16686",
    grafana="http://127.0.0.1:3000",
)
SCOPE = Scope(
    env="sandbox", projection='odd "name"\\', op="upsert", reason="rate_limited", result="retry"
)


@pytest.fixture(scope="module")
def case():
    """A recorded case as if its servers still stood."""
    opened = open_case("narrow", source="example:es_down")
    return replace(opened, evidence=replace(opened.evidence, links=BASES))


def every_url(case):
    """One of each kind."""
    return (
        prometheus_url(case, SCOPE),
        grafana_url(case, SCOPE),
        trace_url(case, "0" * 31 + "1"),
    )


def test_times_are_absolute(case):
    """A link opened next week shows the window of the incident, not the last hour."""
    start, end = case.span.start.timestamp(), case.span.end.timestamp()
    graph = parse_qs(urlsplit(prometheus_url(case, SCOPE)).query)
    assert graph["g0.end_input"] == [case.window.end.strftime("%Y-%m-%d %H:%M:%S")]
    pane = json.loads(parse_qs(urlsplit(grafana_url(case, SCOPE)).query)["panes"][0])["triage"]
    assert pane["range"] == {"from": str(round(start * 1000)), "to": str(round(end * 1000))}


def test_the_scope_travels_escaped(case):
    """Quotes and backslashes of a label reach the server as that very label."""
    pane = json.loads(parse_qs(urlsplit(grafana_url(case, SCOPE)).query)["panes"][0])["triage"]
    expr = pane["queries"][0]["expr"]
    assert 'projection="odd \\"name\\"\\\\"' in expr
    assert "outbox_retry_scheduled_total" in expr
    assert parse_qs(urlsplit(prometheus_url(case, SCOPE)).query)["g0.expr"][0] in expr


def test_the_report_would_link_each(case):
    """The report's own rule for addresses accepts them all."""
    assert all(allowed(url, ()) for url in every_url(case))


def test_no_server_no_link(case):
    """Without base addresses there is nothing to click on."""
    bare = replace(case, evidence=replace(case.evidence, links=Links()))
    assert every_url(bare) == ("", "", "")
