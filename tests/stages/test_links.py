"""Links lead to the same counter, step and trace at the same time, on configured servers only."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from loomtriage.case import open_case
from loomtriage.contract.catalogue import BY_ID, METRICS
from loomtriage.contract.panels import VARIABLES
from loomtriage.evidence import Links
from loomtriage.model import Scope, State
from loomtriage.report.links import allowed
from loomtriage.stages.links import (
    counter,
    drawn,
    explore_url,
    expression,
    graph_url,
    panel_url,
    search_url,
    trace_url,
)
from loomtriage.stages.locate import locate
from loomtriage.stages.narrow import narrow
from loomtriage.stages.preflight import preflight

ROOT = Path(__file__).resolve().parents[2]
BOARD = json.loads((ROOT / "docker/grafana/dashboards/wordloom.json").read_text(encoding="utf-8"))
BASES = Links(
    prometheus="http://127.0.0.1:9090",
    jaeger="http://127.0.0.1:16686",
    grafana="http://127.0.0.1:3000",
)
SCOPE = Scope(
    env="sandbox", projection='odd "name"\\', op="upsert", reason="rate_limited", result="retry"
)
RETRIES = counter(SCOPE)


def standing(stage: str, example: str):
    """A recorded case as if its servers still stood."""
    opened = replace(open_case(stage, source=f"example:{example}"), pictures=False)
    return replace(opened, evidence=replace(opened.evidence, links=BASES))


@pytest.fixture(scope="module")
def case():
    """One that every test here may ask."""
    return standing("narrow", "es_down")


def every_url(case):
    """One of each kind."""
    asked = expression(RETRIES, SCOPE)
    return (
        graph_url(case, asked),
        explore_url(case, asked),
        panel_url(case, RETRIES, SCOPE),
        trace_url(case, "0" * 31 + "1"),
        search_url(case, "wordloom-search-outbox-worker", "outbox.process", error="true"),
    )


def asked_of(url: str) -> dict[str, list[str]]:
    """The parameters of an address."""
    return parse_qs(urlsplit(url).query)


def pane_of(url: str) -> dict:
    """What Explore is told to show."""
    return json.loads(asked_of(url)["panes"][0])["triage"]


def unresolved(url: str, board: dict = BOARD) -> list[str]:
    """What a link to the dashboard asks for that the published dashboard does not have."""
    parts = urlsplit(url)
    known = {f"var-{one['name']}" for one in board["templating"]["list"]}
    panels = {str(one["id"]) for one in board["panels"] if one["type"] == "timeseries"}
    found = [] if parts.path == f"/d/{board['uid']}" else [parts.path]
    for name, value in parse_qsl(parts.query, strict_parsing=True):
        if name == "viewPanel" and value not in panels:
            found.append(f"panel {value}")
        if name.startswith("var-") and name not in known:
            found.append(name)
    return found


def test_times_are_absolute(case):
    """A link opened next week shows the window of the incident, not the last hour."""
    graph, explore, panel, _trace, search = every_url(case)
    start, end = (str(round(at.timestamp() * 1000)) for at in (case.span.start, case.span.end))
    assert asked_of(graph)["g0.end_input"] == [case.window.end.strftime("%Y-%m-%d %H:%M:%S")]
    assert pane_of(explore)["range"] == {"from": start, "to": end}
    assert (asked_of(panel)["from"], asked_of(panel)["to"]) == ([start], [end])
    begun = round(case.window.start.timestamp() * 1e6)
    assert (asked_of(search)["start"], asked_of(search)["end"]) == ([str(begun)], [f"{end}000"])


def test_the_scope_travels_escaped(case):
    """Quotes and backslashes of a label reach each server as that very label."""
    graph, explore, panel, *_ = every_url(case)
    expr = pane_of(explore)["queries"][0]["expr"]
    assert 'projection="odd \\"name\\"\\\\"' in expr
    assert expr.startswith("outbox_retry_scheduled_total{")
    assert asked_of(graph)["g0.expr"] == [expr]
    assert asked_of(panel)["var-projection"] == [SCOPE.projection]


def test_a_reason_is_found_under_its_older_names(case):
    """Workers that write an alias are not missed: query and panel ask for every spelling."""
    spelled = ["rate_limited", "es_429", "http_429"]
    assert f'reason=~"{"|".join(spelled)}"' in expression(RETRIES, SCOPE)
    assert asked_of(panel_url(case, RETRIES, SCOPE))["var-reason"] == spelled
    odd = Scope(reason='never "heard"', result="retry")
    assert 'reason="never \\"heard\\""' in expression(RETRIES, odd)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.id)
def test_a_panel_link_resolves_in_the_published_dashboard(case, metric):
    """Dashboard, panel and variables are there, and the panel is one that draws the metric."""
    url = panel_url(case, metric, SCOPE)
    assert unresolved(url) == []
    (number,) = asked_of(url)["viewPanel"]
    panel = next(one for one in BOARD["panels"] if str(one["id"]) == number)
    name = metric.name.removesuffix("_total")
    assert any(name in target["expr"] for target in panel["targets"])


def test_what_is_not_in_the_dashboard_is_found(case):
    """The check itself: another dashboard, no such panel, no such variable."""
    url = panel_url(case, RETRIES, SCOPE)
    assert unresolved(url.replace("viewPanel=2", "viewPanel=1001")) == ["panel 1001"]
    assert unresolved(url.replace("var-op", "var-operation")) == ["var-operation"]
    assert unresolved(url.replace("/d/", "/d/old-")) == [f"/d/old-{BOARD['uid']}"]
    without = {**BOARD, "panels": [one for one in BOARD["panels"] if one["id"] != 2]}
    assert unresolved(url, without) == ["panel 2"]


def test_variables_are_those_of_the_dashboard():
    """What a link may set is what a reader may choose, in the same order."""
    assert tuple(one["name"] for one in BOARD["templating"]["list"]) == VARIABLES


DRAWN = {"127.0.0.1:9090/graph", "127.0.0.1:3000/explore", "127.0.0.1:3000/d"}
TRACED = {"127.0.0.1:16686/trace", "127.0.0.1:16686/search"}


@pytest.mark.parametrize(
    ("stage", "example", "wanted"),
    [
        (preflight, "stuck_reclaim", DRAWN),
        (narrow, "es_down", DRAWN),
        (locate, "es_down", TRACED),
    ],
)
def test_every_finding_that_speaks_of_something_leads_there(stage, example, wanted):
    """Whatever is down, changed or failed can be seen where its signal is shown."""
    found = stage(standing(stage.__name__, example)).verdict.findings
    told = [finding for finding in found if finding.state is State.BAD]
    assert told
    for finding in told:
        urls = [urlsplit(one.url) for one in finding.evidence if one.url]
        assert wanted <= {f"{url.netloc}/{url.path.split('/')[1]}" for url in urls}, finding.check
        assert all(allowed(url.geturl(), ()) for url in urls)


def test_the_report_would_link_each(case):
    """The report's own rule for addresses accepts them all."""
    assert all(allowed(url, ()) for url in every_url(case))


def test_no_server_no_link(case):
    """Without base addresses there is nothing to click on, and no evidence that is only a link."""
    bare = replace(case, evidence=replace(case.evidence, links=Links()))
    assert every_url(bare) == ("",) * 5
    assert drawn(bare, BY_ID["lag"], SCOPE, says="it rose") == ()
