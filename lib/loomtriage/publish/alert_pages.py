"""Alert pages: what does a person read whom an alert called, from meaning to mitigation?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from loomtriage.contract.alerts import ALERTS
from loomtriage.contract.board import PANELS
from loomtriage.contract.causes import BY_ID
from loomtriage.contract.recordings import RECORDINGS
from loomtriage.contract.rules import DASHBOARD, GRAFANA, LAB, Alert, expression, scaled_s
from loomtriage.drills.drill import Drill

WRITTEN = "Written by `loomtriage publish` from `lib/loomtriage/contract/`; edits here are lost."
_NOBODY = (
    "No drill of the book is meant for it: a drill always has work. `tests/rules/` proves when it "
    "fires by promtool alone, `.ci/idle` in a lab that is left without work."
)
_INTRO = f"""# Alerts

{WRITTEN}

`docker/prometheus/rules.yml` holds them for Prometheus; the [how-to](../how-to/monitoring.md) says
how to load it and where alerts go.
The lab evaluates the same rules with every duration divided by {LAB:g} and none below two seconds
(`docker/prometheus/lab-rules.yml`): a minute of production is a second there, because a fault of a
drill stands for seconds.
Thresholds that are rows or shares stay as they are.

## Alerts"""
_MATRIX = """## Drills

Which alert a drill raises between apply and revert: **must** fire, may fire (the page says why),
silent where nothing stands.
`.ci/alerts DIR` prints what the drill runs in a folder raised, and fails where it differs."""


def alert_page(alert: Alert, drills: Mapping[str, Drill]) -> str:
    """`runbooks/alerts/<Alert>.md`.

    Args:
        alert: what called.
        drills: the book, by id.
    """
    keys = [key for key in ("env", "projection") if f"$labels.{key}" in alert.summary]
    scope = " ".join(f"--{key} {key.upper()}" for key in keys)
    carried = " and ".join(f"`{key}`" for key in keys)
    return f"""# {alert.name}

{WRITTEN}

Severity `{alert.severity}`, fires {_wait(alert)}. Threshold: {alert.bound.value:g} \
{alert.bound.unit} ({alert.bound.source}).

## Meaning

{alert.says}

```promql
{expression(alert)}
```

## Impact

{alert.impact}

## Diagnosis

With {carried} as the alert carries them, or with the payload that Alertmanager posted:

```console
$ loomtriage path --source live {scope} --last 15m
$ loomtriage path --source live --alert payload.json
```

It ends with a cause and its evidence.
By hand: `notebooks/{alert.stage}.ipynb`, and on the dashboard the panel
[{alert.panel}]({_panel_url(alert)}).

## Mitigation

{_mitigation(alert)}

## Drills

{_drills(alert, drills)}
"""


def alerts_reference(drills: Mapping[str, Drill]) -> str:
    """`docs/reference/alerts.md`: every alert, every recorded series, and the drills' matrix."""
    alerts = [
        (
            f"[{one.name}](../../{one.page})",
            one.severity,
            _wait(one),
            f"{one.bound.value:g} {one.bound.unit}",
            one.impact,
        )
        for one in ALERTS
    ]
    recorded = [(f"`{one.name}`", one.says) for one in RECORDINGS]
    rows = [(f"`{drill}`", *(_cell(alert, drill) for alert in ALERTS)) for drill in drills]
    parts = (
        _INTRO,
        table(("alert", "severity", "fires", "threshold", "impact"), alerts),
        "## Recorded series",
        table(("series", "means"), recorded),
        _MATRIX,
        table(("drill", *(alert.name for alert in ALERTS)), rows),
        *(f"`{one.name}`: {_NOBODY}" for one in ALERTS if not one.fires_in),
    )
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _panel_url(alert: Alert) -> str:
    (panel,) = (panel for panel in PANELS if panel.title == alert.panel)
    return f"{GRAFANA}/d/{DASHBOARD}?viewPanel={panel.id}"


def _wait(alert: Alert) -> str:
    if not alert.for_s:
        return "at once"
    return f"after {alert.for_s / 60:g} min (lab: {scaled_s(alert.for_s, LAB):g} s)"


def _cell(alert: Alert, drill: str) -> str:
    return "**must**" if drill in alert.fires_in else "may" if drill in alert.may_fire_in else ""


def _mitigation(alert: Alert) -> str:
    if alert.do:
        return alert.do
    causes = [BY_ID[name] for name in alert.causes]
    lines = [f"- **{cause.title}** (`{cause.id}`): {cause.do}" for cause in causes]
    return "\n".join(["The path names the cause; what to do about each:", "", *lines])


def _drills(alert: Alert, drills: Mapping[str, Drill]) -> str:
    told = [
        f"- [{name}](../../notebooks/drills/{name}.ipynb), {drills[name].title}: must fire."
        for name in alert.fires_in
        if name in drills
    ]
    told += [
        f"- [{name}](../../notebooks/drills/{name}.ipynb): may fire. {why}"
        for name, why in sorted(alert.may_fire_in.items())
        if name in drills
    ]
    return "\n".join(told) or _NOBODY
