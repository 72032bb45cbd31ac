"""Dashboard: how do the panels of the contract become Grafana's JSON, the same every time?"""

from __future__ import annotations

import json
import string
from itertools import count
from urllib.parse import quote, urlencode

from grafana_foundation_sdk.builders import common as visual
from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.builders import prometheus, text, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard

from loomtriage.contract.board import ROWS
from loomtriage.contract.panels import JAEGER, PROMETHEUS, TITLE, Panel, Query
from loomtriage.contract.rules import DASHBOARD
from loomtriage.contract.spans import CHRONICLE_SERVICE, ROW, SEARCH_SERVICE
from loomtriage.contract.targets import DRILL_JOB

_PROMETHEUS = dashboard.DataSourceRef(type_val="prometheus", uid=PROMETHEUS)
_GRAFANA = dashboard.DataSourceRef(type_val="grafana", uid="-- Grafana --")
_WIDTHS = {1: 24, 2: 12, 3: 8, 4: 6}
_HEIGHT = 8
_UNLINKED = 1001
"""Ids of what no link leads to begin here, beyond those of the contract."""
_JAEGER = "http://localhost:16686"
_EXPLORE = quote(
    json.dumps(
        {
            "traces": {
                "datasource": JAEGER,
                "queries": [{"refId": "A", "queryType": "search", "operation": ROW}],
                "range": {"from": "now-15m", "to": "now"},
            }
        }
    )
)
_ATTEMPTS = '{__name__=~"outbox_(processed|failed)_total", env=~"$env", projection=~"$projection"}'
_FROM_HERE = f"""**metrics narrow → traces locate → logs prove**

`loomtriage path --source live --env ${{env}} --projection ${{projection}} --last 15m`

[Traces](/explore?schemaVersion=1&panes={_EXPLORE}) of the same time.
A click on a series leads to the spans with its keys.

From one id to its trace, rows and lines: `loomtriage pivot ID --source live --last 15m`"""


def dashboard_json() -> str:
    """`docker/grafana/dashboards/wordloom.json`, keys in one order, one value a line."""
    board = (
        grafana.Dashboard(TITLE)
        .uid(DASHBOARD)
        .description("Written by `loomtriage publish` from the contract; edits here are lost.")
        .tags(["wordloom", "outbox"])
        .readonly()
        .timezone("utc")
        .refresh("5s")
        .time("now-15m", "now")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .with_variable(_variable("env", 'label_values(up{job=~"wordloom-.*"}, env)'))
        .with_variable(
            # Every projection has a lag; only the search projection has bulk requests.
            _variable("projection", 'label_values(outbox_lag_events{env=~"$env"}, projection)')
        )
        .with_variable(_variable("op", f"label_values({_ATTEMPTS}, op)"))
        .with_variable(_variable("reason", f"label_values({_ATTEMPTS}, reason)"))
        .annotation(_builtin())
        .annotation(_firing())
        .annotation(_drills())
        .annotation(_noted("drill", "purple"))
        .annotation(_noted("incident", "red"))
        .link(_link("Prometheus: alerts", "http://localhost:9090/alerts"))
        .link(_link("Alertmanager", "http://localhost:9093"))
        .link(_link("Jaeger", _JAEGER))
    )
    ids = count(_UNLINKED)
    for row in ROWS:
        board.with_row(grafana.Row(row.title).id(next(ids)))
        panels: list[timeseries.Panel | text.Panel] = [_panel(one) for one in row.panels]
        in_line = 3 if len(panels) in (3, 5, 6) else 4
        if row is ROWS[0]:
            panels.append(_text().id(next(ids)))
        for panel in panels:
            board.with_panel(panel.span(_WIDTHS[in_line]).height(_HEIGHT))
    return (
        json.dumps(board.build(), cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False)
        + "\n"
    )


def _panel(one: Panel) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .id(one.id)
        .title(one.title)
        .description(one.says)
        .datasource(_PROMETHEUS)
        .unit(one.unit)
        .min(0)
        .line_width(1)
        .fill_opacity(10)
        .show_points(common.VisibilityMode.NEVER)
    )
    if one.is_share:
        panel = panel.max(1)
    if one.line is not None:
        panel = _lined(panel, one.line)
    if any("{{reason}}" in query.legend for query in one.queries):
        panel = panel.data_links(
            [_spans(service) for service in (SEARCH_SERVICE, CHRONICLE_SERVICE)]
        )
    for name, query in zip(string.ascii_uppercase, one.queries, strict=False):
        panel = panel.with_target(_target(name, query))
    return panel


def _spans(service: str) -> grafana.DashboardLink:
    """From a series to the spans that carry its keys, in the time that is shown."""
    keys = {key: f"${{__field.labels.{key}}}" for key in ("reason", "op")}
    asked = {"service": service, "operation": ROW, "tags": json.dumps(keys)}
    # Grafana puts its variables in only where they are spelled out.
    query = urlencode(asked, safe="${}")
    url = f"{_JAEGER}/search?{query}&start=${{__from}}000&end=${{__to}}000"
    return _link(f"Spans of {service}", url)


def _lined(panel: timeseries.Panel, value: float) -> timeseries.Panel:
    steps = [
        dashboard.Threshold(value=None, color="green"),
        dashboard.Threshold(value=value, color="red"),
    ]
    absolute = grafana.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)
    dashed = visual.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
    return panel.thresholds(absolute).thresholds_style(dashed)


def _target(name: str, query: Query) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .ref_id(name)
        .datasource(_PROMETHEUS)
        .expr(query.expr)
        .legend_format(query.legend)
        .exemplar(True)  # noqa: FBT003  (a builder's only way)
    )


def _text() -> text.Panel:
    return text.Panel().title("From here").content(_FROM_HERE)


def _variable(name: str, query: str) -> grafana.QueryVariable:
    return (
        grafana.QueryVariable(name)
        .label(name)
        .datasource(_PROMETHEUS)
        .query(query)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(True)  # noqa: FBT003  (a builder's only way)
        .include_all(True)  # noqa: FBT003  (as above)
        .all_value(".*")
        .current(dashboard.VariableOption(text="All", value="$__all"))
    )


def _builtin() -> grafana.AnnotationQuery:
    return (
        grafana.AnnotationQuery()
        .name("Annotations & Alerts")
        .datasource(_GRAFANA)
        .icon_color("rgba(0, 211, 255, 1)")
        .type("dashboard")
        .built_in(1)
    )


def _firing() -> grafana.AnnotationQuery:
    """A mark where an alert begins to fire."""
    return (
        grafana.AnnotationQuery()
        .name("alert fires")
        .datasource(_PROMETHEUS)
        .icon_color("red")
        .expr('ALERTS{alertstate="firing", severity=~"critical|warning", env=~"$env"}')
    )


def _drills() -> grafana.AnnotationQuery:
    """A region where a drill's worker is up."""
    return (
        grafana.AnnotationQuery()
        .name("worker of a drill is up")
        .datasource(_PROMETHEUS)
        .icon_color("purple")
        .expr(f'up{{job="{DRILL_JOB}"}} == 1')
    )


def _noted(tag: str, color: str) -> grafana.AnnotationQuery:
    """What a person, or a script, wrote into Grafana under this tag."""
    return (
        grafana.AnnotationQuery()
        .name(f"{tag} (noted)")
        .datasource(_GRAFANA)
        .icon_color(color)
        .target(grafana.AnnotationTarget().type("tags").tags([tag]).limit(100))
    )


def _link(title: str, url: str) -> grafana.DashboardLink:
    return (
        grafana.DashboardLink(title)
        .type(dashboard.DashboardLinkType.LINK)
        .url(url)
        .icon("external link")
        .target_blank(True)  # noqa: FBT003  (a builder's only way)
    )
