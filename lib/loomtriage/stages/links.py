"""Where in Prometheus, Grafana and Jaeger can the same thing be seen, at the same time?

Every address carries absolute times of the case's windows, so that it shows tomorrow what it
shows now. A server that is not configured has no address: the function then returns "".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import urlencode

from loomtriage.case import Case
from loomtriage.contract.board import showing
from loomtriage.contract.catalogue import BY_ID, Metric, MetricType
from loomtriage.contract.panels import PROMETHEUS, VARIABLES
from loomtriage.contract.reasons import spellings
from loomtriage.contract.rules import DASHBOARD
from loomtriage.model import Evidence, Scope
from loomtriage.model.window import epoch_ms

TRACES = 20
"""How many traces a search asks for; Jaeger's own default."""
_BY_RESULT = {"retry": "retry_scheduled", "failed": "terminal_failed"}


def counter(scope: Scope) -> Metric:
    """The counter that a scope is about, by its result."""
    return BY_ID[_BY_RESULT.get(scope.result, "processed")]


def expression(metric: Metric, scope: Scope) -> str:
    """A metric, narrowed by those keys of the scope that are its labels (PromQL)."""
    keys = [key for key in ("env", *metric.labels) if getattr(scope, key, "")]
    matchers = ",".join(_matcher(scope, key) for key in keys)
    return f"{metric.name}{{{matchers}}}" if matchers else metric.name


def drawn(case: Case, metric: Metric, scope: Scope, *, says: str) -> tuple[Evidence, ...]:
    """Where a metric is drawn: in Prometheus, and in Grafana; those that there are.

    `says` is what the graph shows.
    """
    asked = expression(metric, scope)
    url = graph_url(case, asked)
    graph = Evidence(kind="graph", ref=asked, says=says, url=url)
    return (*((graph,) if url else ()), *in_grafana(case, metric, scope))


def in_grafana(case: Case, metric: Metric, scope: Scope) -> tuple[Evidence, ...]:
    """A metric in Explore, to ask further, and in its panel; nothing without Grafana."""
    if not case.evidence.links.grafana:
        return ()
    asked = expression(metric, scope)
    # A counter says something by its increase, a gauge by itself.
    asked = f"increase({asked}[1m])" if metric.type is MetricType.COUNTER else asked
    return (
        Evidence(
            kind="explore",
            ref=asked,
            says="in Grafana, to ask further",
            url=explore_url(case, asked),
        ),
        Evidence(
            kind="panel",
            ref=showing(metric.id).title,
            says="on the dashboard, beside the rest",
            url=panel_url(case, metric, scope),
        ),
    )


def graph_url(case: Case, promql: str) -> str:
    """Graph of any expression in Prometheus, over baseline and window."""
    base = case.evidence.links.prometheus
    query = {
        "g0.expr": promql,
        "g0.range_input": f"{round(case.span.seconds)}s",
        "g0.end_input": case.window.end.strftime("%Y-%m-%d %H:%M:%S"),
        "g0.tab": "0",
    }
    return f"{base}/graph?{urlencode(query)}" if base else ""


def explore_url(case: Case, promql: str) -> str:
    """Any expression in Grafana's Explore, over baseline and window."""
    base = case.evidence.links.grafana
    source = {"type": "prometheus", "uid": PROMETHEUS}
    pane = {
        "datasource": PROMETHEUS,
        "queries": [{"refId": "A", "datasource": source, "expr": promql}],
        "range": dict(_times(case)),
    }
    query = {"schemaVersion": 1, "panes": json.dumps({"triage": pane}), "orgId": 1}
    return f"{base}/explore?{urlencode(query)}" if base else ""


def panel_url(case: Case, metric: Metric, scope: Scope) -> str:
    """The dashboard's panel of a metric, narrowed to the scope, over baseline and window."""
    base = case.evidence.links.grafana
    query = [
        ("orgId", "1"),
        *_times(case),
        ("timezone", "utc"),
        *_chosen(scope),
        ("viewPanel", str(showing(metric.id).id)),
    ]
    return f"{base}/d/{DASHBOARD}?{urlencode(query)}" if base else ""


def trace_url(case: Case, trace_id: str) -> str:
    """One trace in Jaeger."""
    base = case.evidence.links.jaeger
    return f"{base}/trace/{trace_id}" if base else ""


def search_url(case: Case, service: str, operation: str, **tags: str) -> str:
    """The traces of the window that hold such a step, in Jaeger's search."""
    base = case.evidence.links.jaeger
    query = {
        "service": service,
        "operation": operation,
        **({"tags": json.dumps(tags)} if tags else {}),
        "lookback": "custom",
        "start": f"{epoch_ms(case.window.start)}000",
        "end": f"{epoch_ms(case.window.end)}000",
        "limit": TRACES,
    }
    return f"{base}/search?{urlencode(query)}" if base else ""


def _matcher(scope: Scope, key: str) -> str:
    """Workers may write an older name for a reason; it is the same reason."""
    names = spellings(scope.reason) if key == "reason" else ()
    return f'reason=~"{"|".join(names)}"' if len(names) > 1 else scope.selector(key)


def _times(case: Case) -> Iterable[tuple[str, str]]:
    return (("from", f"{epoch_ms(case.span.start)}"), ("to", f"{epoch_ms(case.span.end)}"))


def _chosen(scope: Scope) -> Iterable[tuple[str, str]]:
    """Values of the dashboard's variables; one that is not narrowed stays at All."""
    for name in VARIABLES:
        value = getattr(scope, name)
        for spelled in spellings(value) if name == "reason" else (value,):
            if spelled:
                yield f"var-{name}", spelled
