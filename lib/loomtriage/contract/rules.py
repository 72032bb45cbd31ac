"""Rules: what does Prometheus evaluate by itself, and how do the same rules fit a lab's short time?

One function makes both forms. In production every duration stands as it is written here; in the
lab a minute becomes a second, because a fault stands for seconds there. Numbers of rows and shares
are never changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from loomtriage.contract.catalogue import BY_ID, Threshold

PRODUCTION, LAB = 1.0, 60.0
"""Time scales: by how much every duration of a rule is divided."""
FLOOR_S = 2.0
"""No duration gets shorter than this in the lab: its gauges are refreshed once a second."""
GRAFANA = "http://localhost:3000"
DASHBOARD = "wordloom-outbox-bulk"
RUNBOOKS = "runbooks/alerts"

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(?<=\[)(\d+)([smhd])(?=\])|(?<=offset )(\d+)([smhd])")
BOUND = "$bound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One series that Prometheus computes for alerts and panels.

    Attributes:
        name: of the series, `<level>:<what>:<how>`.
        expr: PromQL.
        bound: what `$bound` in the expression stands for.
        says: meaning, one sentence.
    """

    name: str
    expr: str
    bound: Threshold | None = None
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert: what Prometheus asks, what a person is told, what proves it.

    Attributes:
        name: of the alert and of its page.
        expr: PromQL; `$bound` stands for the threshold.
        bound: threshold, with where it came from.
        for_s: seconds that it must hold before it fires.
        severity: `critical` wakes somebody, `warning` waits for the day, `info` is only shown.
        summary: one line, with Prometheus' templates.
        says: meaning, one or two sentences.
        impact: what a user of the application notices.
        panel: title of the dashboard panel that shows it.
        stage: stage notebook to open first.
        causes: ids of the causes behind it, the likeliest first.
        do: what to do where no cause of the list says it; empty where they do.
        fires_in: drills in which it must fire.
        may_fire_in: drill -> why it may fire there as well.
    """

    name: str
    expr: str
    bound: Threshold
    for_s: int
    severity: str
    summary: str
    says: str
    impact: str
    panel: str
    stage: str
    causes: tuple[str, ...]
    fires_in: tuple[str, ...]
    may_fire_in: Mapping[str, str]
    do: str = ""

    @property
    def page(self) -> str:
        """The runbook page, relative to the checkout."""
        return f"{RUNBOOKS}/{self.name}.md"


def grown(metric: str, window: str) -> str:
    """PromQL: by how much each series of a counter grew, those that were born in the window too.

    `increase` starts at the first sample, and so misses all that a series was born with: a reason
    that nobody had seen before. Such a series counts in full, where its process was scraped
    before, so that a new Prometheus does not take the past for news.
    """
    name = BY_ID[metric].name
    newborn = f"({name} unless {name} offset {window})"
    scraped = f"on (job, instance) (up offset {window} == 1)"
    return f"({newborn} and {scraped} or increase({name}[{window}]))"


def expression(rule: Recording | Alert, scale: float = PRODUCTION) -> str:
    """PromQL of a rule with durations for this time scale, and its bound put in."""
    text = _DURATION.sub(lambda found: _duration(found, scale), rule.expr)
    if rule.bound is None:
        return text
    is_time = rule.bound.unit == "s"
    value = scaled_s(rule.bound.value, scale) if is_time else rule.bound.value
    return text.replace(BOUND, f"{value:g}")


def scaled_s(seconds: float, scale: float) -> float:
    """Seconds for this time scale."""
    return seconds if scale == PRODUCTION or not seconds else max(FLOOR_S, seconds / scale)


def groups(
    recordings: Iterable[Recording], alerts: Iterable[Alert], *, scale: float = PRODUCTION
) -> dict[str, object]:
    """The content of a rules file, as data."""
    recorded = [{"record": one.name, "expr": expression(one, scale)} for one in recordings]
    fired = [_alert(one, scale) for one in alerts]
    # One group: its rules are evaluated in order, so that alerts see what was just recorded.
    return {"groups": [{"name": "wordloom", "rules": [*recorded, *fired]}]}


def _alert(alert: Alert, scale: float) -> dict[str, object]:
    wait = f"{scaled_s(alert.for_s, scale):g}s"
    return {
        "alert": alert.name,
        "expr": expression(alert, scale),
        **({"for": wait} if alert.for_s else {}),
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.says,
            "runbook_url": alert.page,
            "dashboard_url": dashboard_url(),
        },
    }


def dashboard_url() -> str:
    """The dashboard, narrowed by the alert's own labels (a template of Prometheus)."""
    narrowed = "&".join(
        f"var-{key}={{{{ or $labels.{key} `$__all` }}}}" for key in ("env", "projection")
    )
    return f"{GRAFANA}/d/{DASHBOARD}?{narrowed}"


def _duration(found: re.Match[str], scale: float) -> str:
    number, unit = found[1] or found[3], found[2] or found[4]
    seconds = scaled_s(float(number) * _SECONDS[unit], scale)
    return found[0] if scale == PRODUCTION else f"{round(seconds * 1000)}ms"
