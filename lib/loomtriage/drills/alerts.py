"""Alerts: which alerts of the lab's Prometheus were pending or firing while a fault stood?

Asked once, when the fault is taken back: Prometheus keeps every evaluation as a sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from loomtriage.drills.loopback import ask_json
from loomtriage.drills.record import Step
from loomtriage.errors import TriageError
from loomtriage.model.window import iso, parse_instant
from loomtriage.report import loose

if TYPE_CHECKING:
    from loomtriage.drills.result import Phase
    from loomtriage.lab.state import LabState

BEFORE_S = 3.0
"""An alert seen in this time before the fault was there without it; three evaluations."""
_NOT_LABELS = ("__name__", "alertname", "alertstate")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSeen:
    """One alert during a fault.

    Attributes:
        name: of the alert.
        labels: its labels, severity among them.
        pending_at, firing_at: first evaluation that found it so, aware UTC, None when none did.
        is_older: whether it was pending or firing before the fault was applied.
    """

    name: str
    labels: Mapping[str, str]
    pending_at: datetime | None = None
    firing_at: datetime | None = None
    is_older: bool = False

    def as_json(self) -> dict[str, object]:
        """The form that a drill's result keeps."""
        return {
            "name": self.name,
            "labels": dict(sorted(self.labels.items())),
            "pending_at": iso(self.pending_at) if self.pending_at else "",
            "firing_at": iso(self.firing_at) if self.firing_at else "",
            "older": self.is_older,
        }


def hear_alerts(
    lab: LabState, phases: Iterable[Phase]
) -> tuple[tuple[AlertSeen, ...], tuple[str, ...]]:
    """The alerts of the lab's Prometheus between apply and revert, and why none can be told.

    Never raises: a drill does not fail because nobody could say which alerts there were.
    """
    begun = {phase.name: parse_instant(phase.at) for phase in phases}
    start, end = (begun.get(step.value) for step in (Step.APPLIED, Step.REVERTING))
    if start is None or end is None:
        return (), ()
    lookback = f"{ceil((end - start).total_seconds() + BEFORE_S)}s"
    query = {"query": f"ALERTS[{lookback}]", "time": f"{end.timestamp():.3f}"}
    try:
        answer = ask_json(f"{lab.prometheus_url}/api/v1/query?{urlencode(query)}")
    except TriageError as error:
        return (), (f"Which alerts fired is not known: {error.message}",)
    if answer.get("status") != "success":
        return (), ("Which alerts fired is not known: Prometheus did not list them.",)
    return alerts_of(loose.maps(loose.mapping(answer.get("data")).get("result")), start=start), ()


def alerts_of(series: Iterable[Mapping[str, object]], *, start: datetime) -> tuple[AlertSeen, ...]:
    """Alerts from the samples of `ALERTS`; what was there before `start` is older.

    Args:
        series: the server's answer: `metric` and `values`, seconds since 1970 first.
        start: when the fault was applied, aware UTC.
    """
    moments: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, datetime]] = {}
    for one in series:
        metric, values = loose.mapping(one.get("metric")), loose.items(one.get("values"))
        if not values:
            continue
        labels = tuple(sorted((k, str(v)) for k, v in metric.items() if k not in _NOT_LABELS))
        at = loose.items(values[0])[0]
        first = datetime.fromtimestamp(float(str(at)), UTC)
        seen = moments.setdefault((loose.word(metric, "alertname"), labels), {})
        state = loose.word(metric, "alertstate")
        seen[state] = min(seen.get(state, first), first)
    found = [
        AlertSeen(
            name=name,
            labels=dict(labels),
            pending_at=seen.get("pending"),
            firing_at=seen.get("firing"),
            is_older=min(seen.values()) < start,
        )
        for (name, labels), seen in moments.items()
    ]
    return tuple(sorted(found, key=_first))


def first_moments(alerts: Iterable[AlertSeen]) -> dict[str, str]:
    """When the first alert that the fault raised was pending, and when firing (ISO, UTC)."""
    raised = [alert for alert in alerts if not alert.is_older]
    firsts = {
        "alert_pending": [a.pending_at or a.firing_at for a in raised],
        "alert_firing": [a.firing_at for a in raised],
    }
    known = {key: [at for at in moments if at] for key, moments in firsts.items()}
    return {key: iso(min(moments)) for key, moments in known.items() if moments}


def _first(alert: AlertSeen) -> tuple[datetime, str]:
    moments = [at for at in (alert.pending_at, alert.firing_at) if at]
    return min(moments), alert.name
