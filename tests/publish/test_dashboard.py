"""The dashboard: Grafana reads it as it was meant, and nothing in it is without meaning."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl, urlsplit

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as grafana
from grafana_foundation_sdk.models import units

from loomtriage.contract.alerts import ALERTS
from loomtriage.contract.board import MINIMAL, PANELS, showing
from loomtriage.contract.catalogue import BY_ID
from loomtriage.contract.panels import TITLE, VARIABLES, concrete
from loomtriage.contract.spans import SERVICES, SPANS
from loomtriage.publish.dashboard import dashboard_json
from loomtriage.publish.dashboard_page import dashboard_page

BOARD = json.loads(dashboard_json())
GRAPHS = [panel for panel in BOARD["panels"] if panel["type"] == "timeseries"]
MISSION = ("failed", "retry_scheduled", "processed", "bulk_requests", "bulk_failed_requests")


def test_the_same_contract_gives_the_same_bytes():
    """Publishing twice changes nothing, so that a diff shows what a person changed."""
    assert dashboard_json() == dashboard_json()
    assert (
        dashboard_json() == json.dumps(BOARD, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    )


def test_grafana_types_hold_all_of_it():
    """Grafana's own types read the file and write the same again: no field is invented."""
    read = grafana.Dashboard.from_json(json.loads(dashboard_json()))
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == BOARD


def test_it_is_called_as_the_mission_says():
    """Title and uid are those that people and links look for."""
    assert (BOARD["title"], BOARD["uid"]) == (TITLE, "wordloom-outbox-bulk")


def test_the_five_minimal_panels_come_first():
    """Each counter of the mission has its panel, before everything else."""
    asked = [panel["targets"][0]["expr"] for panel in GRAPHS[:5]]
    wanted = [f"rate({BY_ID[metric].name}{{" for metric in MISSION]
    assert [sum(name in expr for expr in asked) for name in wanted] == [1] * 5


@pytest.mark.parametrize("panel", MINIMAL.panels, ids=lambda panel: panel.title)
def test_minimal_panels_split_by_all_that_their_counter_carries(panel):
    """Every label of the counter is a dimension of its panel, env beside them."""
    (query,) = panel.queries
    metric = next(m for m in BY_ID.values() if f"{m.name}{{" in query.expr)
    by = re.search(r"sum by \(([^)]*)\)", query.expr)
    assert by
    assert by[1].split(", ") == ["env", *metric.labels]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_a_panel_can_be_read(panel):
    """It narrows by env, has a unit that Grafana knows, a sentence, and a name for each series."""
    known = {value for name, value in vars(units).items() if isinstance(value, str)}
    assert panel.unit in known
    assert panel.says.endswith(".")
    for query in panel.queries:
        assert 'env=~"$env"' in query.expr
        assert query.legend
        assert "$" not in concrete(query.expr)


def test_a_series_leads_to_its_spans():
    """A click on a reason finds the spans that carry it, in both workers and in the time shown."""
    links = GRAPHS[0]["fieldConfig"]["defaults"]["links"]
    assert len(links) == 2
    for link in links:
        asked = dict(parse_qsl(urlsplit(link["url"]).query))
        assert asked["operation"] in {kind.operation for kind in SPANS}
        assert asked["service"] in SERVICES
        tags = json.loads(asked["tags"])
        assert tags == {"reason": "${__field.labels.reason}", "op": "${__field.labels.op}"}
        assert (asked["start"], asked["end"]) == ("${__from}000", "${__to}000")


def test_panels_have_room_and_names_of_their_own():
    """No two panels share an id or a title, and none lies upon another."""
    panels = BOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert [panel["id"] for panel in GRAPHS] == [panel.id for panel in PANELS]
    assert len({panel["title"] for panel in panels}) == len(panels)
    places = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24


def test_every_metric_of_the_contract_is_drawn():
    """Nothing is measured that nobody sees."""
    assert {showing(metric) for metric in BY_ID} <= set(PANELS)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_a_panel_narrows_by_what_it_is_split_by(panel):
    """Whoever chooses a reason sees that reason alone, in every panel that tells reasons apart."""
    for query in panel.queries:
        by = re.search(r"sum by \(([^)]*)\) \(rate", query.expr)
        split = by[1].split(", ") if by else ["env"]
        for name in set(split) & set(VARIABLES):
            assert f'{name}=~"${name}"' in query.expr


def test_both_projections_can_be_chosen():
    """The list comes from a gauge that every worker has, not from one of bulk mode."""
    variables = {one["name"]: one for one in BOARD["templating"]["list"]}
    assert "outbox_lag_events" in str(variables["projection"]["query"])
    assert all(one["multi"] and one["includeAll"] for one in variables.values())


def test_alerts_and_drills_mark_the_time():
    """Marks show when an alert fired, when a drill ran, and what people noted."""
    names = [one["name"] for one in BOARD["annotations"]["list"]]
    assert {"alert fires", "worker of a drill is up", "drill (noted)", "incident (noted)"} <= set(
        names
    )


def test_every_alert_has_its_panel():
    """Who comes from an alert finds what it was about."""
    assert {alert.panel for alert in ALERTS} <= {panel["title"] for panel in GRAPHS}


def test_the_page_shows_every_query():
    """The reference page holds each panel and its PromQL."""
    page = dashboard_page()
    for panel in PANELS:
        assert f"### {panel.title}\n" in page
        assert all(query.expr in page for query in panel.queries)
