"""Dashboard page: which panels are there, from which PromQL, and what does each tell?"""

from __future__ import annotations

from loomtriage.contract.board import ROWS
from loomtriage.contract.panels import FOLDER, TITLE, Panel
from loomtriage.publish.alert_pages import WRITTEN

_HEAD = f"""# Dashboard

{WRITTEN}

`{TITLE}`, in Grafana's folder `{FOLDER}` at <http://localhost:3000>, user and password `admin`.
The variable `env` narrows every panel, `projection`, `op` and `reason` those that are split by
them; all four take several values. Findings of the triage link to a panel with these set.
Marks show where an alert begins to fire, where a drill's worker is up, and what people noted under
the tags `drill` and `incident`.

![The panels over one drill](../images/dashboard.png)

The picture shows the same queries without Grafana: `.ci/dashboard` draws it from the lab."""


def dashboard_page() -> str:
    """`docs/reference/dashboard.md`."""
    parts = [_HEAD]
    for row in ROWS:
        parts.append(f"## {row.title}")
        parts += [_panel(one) for one in row.panels]
    return "\n\n".join(parts) + "\n"


def _panel(one: Panel) -> str:
    line = f" Line at {one.line:g}." if one.line is not None else ""
    queries = "\n".join(query.expr for query in one.queries)
    return f"### {one.title}\n\n{one.says} Unit `{one.unit}`.{line}\n\n```promql\n{queries}\n```"
