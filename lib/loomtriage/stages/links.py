"""Where in Prometheus, Grafana and Jaeger can the same thing be seen, at the same time?

Every address carries absolute times of the case's windows, so that it shows tomorrow what it
shows now. A server that is not configured has no address: the function then returns "".
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

from loomtriage.case import Case
from loomtriage.contract import catalogue
from loomtriage.model import Scope
from loomtriage.model.window import epoch_ms

DATASOURCE = "PROMETHEUS"
"""Uid of the data source that the provisioned Grafana gives to Prometheus."""


def expression(scope: Scope) -> str:
    """The counter that this scope is about, narrowed by the scope's labels (PromQL)."""
    by_result = {"retry": "retry_scheduled", "failed": "terminal_failed"}
    metric = catalogue.BY_ID[by_result.get(scope.result, "processed")]
    labels = tuple(name for name in ("env", *metric.labels) if getattr(scope, name, ""))
    return f"{metric.name}{{{scope.selector(*labels)}}}" if labels else metric.name


def prometheus_url(case: Case, scope: Scope) -> str:
    """Graph of the scope's counter over baseline and window."""
    return graph_url(case, expression(scope))


def graph_url(case: Case, promql: str) -> str:
    """Graph of any expression over baseline and window."""
    base = case.evidence.links.prometheus
    query = {
        "g0.expr": promql,
        "g0.range_input": f"{round(case.span.seconds)}s",
        "g0.end_input": case.window.end.strftime("%Y-%m-%d %H:%M:%S"),
        "g0.tab": "0",
    }
    return f"{base}/graph?{urlencode(query)}" if base else ""


def grafana_url(case: Case, scope: Scope) -> str:
    """Explore on the increase of the scope's counter over baseline and window."""
    base = case.evidence.links.grafana
    pane = {
        "datasource": DATASOURCE,
        "queries": [{"refId": "A", "expr": f"increase({expression(scope)}[1m])"}],
        "range": {
            "from": str(epoch_ms(case.span.start)),
            "to": str(epoch_ms(case.span.end)),
        },
    }
    query = {"schemaVersion": 1, "panes": json.dumps({"triage": pane}), "orgId": 1}
    return f"{base}/explore?{urlencode(query)}" if base else ""


def trace_url(case: Case, trace_id: str) -> str:
    """One trace in Jaeger."""
    base = case.evidence.links.jaeger
    return f"{base}/trace/{trace_id}" if base else ""
